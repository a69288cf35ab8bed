"""Checks of what crosses between host and sandbox: values, host calls and their answers; and of what must not."""

from __future__ import annotations

import tempfile
from concurrent.futures import Future
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from rlm_module.errors import InputError, SubcallError
from rlm_module.sandbox.base import HostCall, HostFunction, Setup
from rlm_module.sandbox.conformance.claims import equal, fails, require, result_of, same
from rlm_module.sandbox.conformance.sessions import Host, MakeSession, clean, run, started

_EXACT = {
    "integer": 2**60 + 1,
    "huge": -(10**400),
    "float": -0.0,
    "infinity": float("inf"),
    "text": "a\0\u00e9\U0001f600\ud800",
    "bytes": b"\xff\0",
    "set": {1, 2},
    "tuple": (1, (2.5, None)),
    "dict": {1: "one", (2, 3): True, "$": []},
    "decimal": Decimal("1.10"),
    "date": date(2024, 2, 29),
}


def check_loaded_values_are_exact(make_session: MakeSession) -> None:
    """Each value keeps its type, and comes back as it was."""
    host = Host()
    with started(make_session, host.dispatch, Setup((HostFunction("keep"),))) as session:
        for name, value in _EXACT.items():
            result_of(session.load(name, value))
            clean(session, f"_ = keep({name})")
            same(host.calls[-1].args if host.calls else None, (value,), name)


def check_loaded_values_stay_changed(make_session: MakeSession) -> None:
    """An input is bound once; what cells do to it stays done, and the host's object is not touched."""
    rows = [1, 2]
    with started(make_session) as session:
        result_of(session.load("rows", rows))
        clean(session, "rows.append(3)")
        equal(clean(session, "rows").value, "[1, 2, 3]", "the input after a cell changed it")
    equal(rows, [1, 2], "the host's object")


def check_a_value_that_cannot_enter_is_refused(make_session: MakeSession) -> None:
    """With an InputError, and the session goes on."""
    with started(make_session) as session:
        fails(session.load("thing", object()), InputError, "loading a bare object")
        equal(clean(session, "1 + 1").value, "2", "a cell after the refusal")


def check_host_calls_are_exact_both_ways(make_session: MakeSession) -> None:
    """A call names its cell, and arguments and result keep value and type."""
    host = Host(lambda call: call.kwargs["value"])
    with started(make_session, host.dispatch, Setup((HostFunction("echo"),))) as session:
        clean(session, "0")
        result = clean(session, "x = 2**60 + 1\necho(1.0, 'b', value=x) == x and type(echo(value=1.0)).__name__")
        equal(result.value, "'float'", "the cell's value")
        first = host.calls[0]
        equal(
            (first.function, first.args, first.kwargs, first.cell), ("echo", (1.0, "b"), {"value": 2**60 + 1}, 1), "it"
        )
        same(first.args[0], 1.0, "a float argument")


def check_a_host_error_is_raised_in_the_cell(make_session: MakeSession) -> None:
    """Where the code can catch it; left alone it fails the cell with the host's message."""

    def fail(call: HostCall) -> Any:
        raise LookupError("no such page")

    with started(make_session, Host(fail).dispatch, Setup((HostFunction("find"),))) as session:
        caught = clean(session, "try:\n    find()\nexcept Exception as error:\n    print('caught', error)")
        require("no such page" in caught.stdout, f"the message reaches the code that catches it, not {caught.stdout!r}")
        require("no such page" in run(session, "find()").text, "the message is in the failed cell's text")


def check_a_failed_subcall_is_no_text(make_session: MakeSession) -> None:
    """A SubcallError in a batch is falsy, keeps its kind, and cannot be used as text; raised, it stays itself."""

    def answer(call: HostCall) -> Any:
        failure = SubcallError("timeout", "no answer within 3 s")
        if call.args:
            return ["fine", failure]
        raise failure

    with started(make_session, Host(answer).dispatch, Setup((HostFunction("ask"),))) as session:
        equal(clean(session, "good, bad = ask('batch')\nbool(bad), bad.kind").value, "(False, 'timeout')", "the item")
        for use in ("good + bad", "'no' in bad", "len(bad)", "bad[0]"):
            error = run(session, use).error
            equal(error and error.type, "TypeError", f"the error of {use}")
        error = run(session, "ask()").error
        equal(error and error.type, "SubcallError", "the error of a single call")


def check_awaited_host_calls_run_at_once(make_session: MakeSession) -> None:
    """All of a gather are in flight before the first is answered, and answers find their calls in any order."""
    waiting: list[tuple[HostCall, Future[Any]]] = []

    def dispatch(call: HostCall) -> Future[Any]:
        waiting.append((call, Future()))
        if len(waiting) == 20:
            for asked, future in reversed(waiting):
                future.set_result(asked.args[0] * 10)
        return waiting[-1][1]

    with started(make_session, dispatch, Setup((HostFunction("times"),))) as session:
        code = "import asyncio\nawait asyncio.gather(*(times.aio(i) for i in range(20))) == [10 * i for i in range(20)]"
        equal(clean(session, code).value, "True", "whether each call got its own answer")


def check_a_cancelled_host_call_fails_in_the_cell(make_session: MakeSession) -> None:
    """And leaves the session as it was."""

    def dispatch(call: HostCall) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        return future

    with started(make_session, dispatch, Setup((HostFunction("ask"),))) as session:
        require(run(session, "ask()").error is not None, "a cancelled call fails its cell")
        equal(clean(session, "1 + 1").value, "2", "a cell after it")


def check_files_of_the_host_are_out_of_reach(make_session: MakeSession) -> None:
    """A cell neither reads nor writes them, whatever paths it knows."""
    with tempfile.TemporaryDirectory() as folder, started(make_session) as session:
        secret, forged = Path(folder, "secret"), Path(folder, "forged")
        secret.write_text("the host's secret")
        read = run(session, f"print(open({str(secret)!r}).read())")
        require("the host's secret" not in read.text, "a cell does not read a file of the host")
        run(session, f"import os\nos.makedirs({folder!r}, exist_ok=True)\nopen({str(forged)!r}, 'w').write('x')")
        require(not forged.exists(), "a cell does not write a file of the host")
