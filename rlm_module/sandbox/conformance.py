"""What every sandbox `Session` must do, as checks that any implementation can run.

A check makes sessions, tries one promise of the protocol, and raises `NotConforming` where it is broken:

    failures = run_checks(MySession)
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from rlm_module.errors import InputError, SandboxError, SubcallError
from rlm_module.sandbox.base import CellResult, HostCall, HostFunction, Session, Setup

MakeSession: TypeAlias = "Callable[[], Session]"
Check: TypeAlias = "Callable[[MakeSession], None]"

_PATIENCE_SECONDS = 60.0
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


class NotConforming(AssertionError):
    """A promise of the protocol that a session does not keep."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that did not pass.

    Args:
        check: Its name.
        reason: What the session did instead, as one line.
    """

    check: str
    reason: str


@dataclass(slots=True)
class _Host:
    """Answers host calls at once, and keeps them."""

    answer: Callable[[HostCall], Any] = lambda call: call.args[0]
    calls: list[HostCall] = field(default_factory=list[HostCall])

    def dispatch(self, call: HostCall) -> Future[Any]:
        self.calls.append(call)
        future: Future[Any] = Future()
        try:
            future.set_result(self.answer(call))
        except Exception as error:  # it is the answer
            future.set_exception(error)
        return future


def run_checks(make_session: MakeSession) -> list[Failure]:
    """Runs every check; what they find, in their order.

    Args:
        make_session: Makes a session that was not started yet; each check starts and closes its own.
    """
    failures: list[Failure] = []
    for check in CHECKS:
        try:
            check(make_session)
        except Exception as error:  # a session may fail in any way, and the next check is worth its run
            lines = str(error).splitlines() or [""]
            failures.append(Failure(check.__name__, f"{type(error).__name__}: {lines[0]}"))
    return failures


def check_cells_share_one_namespace(make_session: MakeSession) -> None:
    """Like a notebook: what a cell binds stays, and functions see what later cells define."""
    with _started(make_session) as session:
        _clean(session, "total = 40\ndef add(): return total + extra()")
        _clean(session, "def extra(): return 2")
        _equal(_clean(session, "add()").value, "42", "a function calls one that a later cell defined")


def check_output_is_text_then_value(make_session: MakeSession) -> None:
    """Printed text is kept beside the value; the value is a repr, also of what is falsy; None is no value."""
    with _started(make_session) as session:
        result = _clean(session, "import sys\nprint('out')\nprint('err', file=sys.stderr)\n''")
        _equal((result.stdout, result.stderr, result.value), ("out\n", "err\n", "''"), "stdout, stderr and value")
        _equal([_clean(session, code).value for code in ("0", "[]", "{3}", "None")], ["0", "[]", "{3}", None], "values")


def check_a_failed_cell_keeps_what_it_did(make_session: MakeSession) -> None:
    """Variables and printed text from before the error stay, and the traceback shows the failing line."""
    with _started(make_session) as session:
        result = _run(session, "kept = 7\nprint('before')\n1 / 0")
        error = result.error
        _equal(error and (error.kind, error.type), ("exception", "ZeroDivisionError"), "the error")
        _equal(result.stdout, "before\n", "what was printed before the error")
        _require("1 / 0" in result.text, f"the text of the result shows the failing line, not {result.text!r}")
        _equal(_clean(session, "kept").value, "7", "a variable from before the error")


def check_a_cell_that_is_no_python_is_a_syntax_error(make_session: MakeSession) -> None:
    """Such a cell runs nothing, and the session goes on."""
    with _started(make_session) as session:
        error = _run(session, "ran = 1\nthis is no python").error
        _equal(error and error.kind, "syntax", "the error's kind")
        _equal(_clean(session, "'ran' in globals()").value, "False", "whether a part of the cell ran")


def check_a_cell_cannot_end_or_block_the_session(make_session: MakeSession) -> None:
    """exit, sys.exit and input are errors of the cell."""
    with _started(make_session) as session:
        for code in ("exit()", "import sys; sys.exit(3)", "raise SystemExit", "input('name? ')"):
            error = _run(session, code).error
            _equal(error and error.kind, "exception", f"the kind of error of {code}")
        _equal(_clean(session, "1 + 1").value, "2", "a cell after them")


def check_a_cell_may_await(make_session: MakeSession) -> None:
    """At its top level."""
    with _started(make_session) as session:
        _equal(_clean(session, "import asyncio\nawait asyncio.sleep(0, 'slept')").value, "'slept'", "an awaited value")


def check_loaded_values_are_exact(make_session: MakeSession) -> None:
    """Each value keeps its type, and comes back as it was."""
    host = _Host()
    with _started(make_session, host, Setup((HostFunction("keep"),))) as session:
        for name, value in _EXACT.items():
            session.load(name, value).result(_PATIENCE_SECONDS)
            _clean(session, f"_ = keep({name})")
            _same(host.calls[-1].args if host.calls else None, (value,), name)


def check_loaded_values_stay_changed(make_session: MakeSession) -> None:
    """An input is bound once; what cells do to it stays done, and the host's object is not touched."""
    rows = [1, 2]
    with _started(make_session) as session:
        session.load("rows", rows).result(_PATIENCE_SECONDS)
        _clean(session, "rows.append(3)")
        _equal(_clean(session, "rows").value, "[1, 2, 3]", "the input after a cell changed it")
    _equal(rows, [1, 2], "the host's object")


def check_a_value_that_cannot_enter_is_refused(make_session: MakeSession) -> None:
    """With an InputError, and the session goes on."""
    with _started(make_session) as session:
        _fails(session.load("thing", object()), InputError, "loading a bare object")
        _equal(_clean(session, "1 + 1").value, "2", "a cell after the refusal")


def check_host_calls_are_exact_both_ways(make_session: MakeSession) -> None:
    """A call names its cell, and arguments and result keep value and type."""
    host = _Host(lambda call: call.kwargs["value"])
    with _started(make_session, host, Setup((HostFunction("echo"),))) as session:
        _clean(session, "0")
        result = _clean(session, "x = 2**60 + 1\necho(1.0, 'b', value=x) == x and type(echo(value=1.0)).__name__")
        _equal(result.value, "'float'", "the cell's value")
        first = host.calls[0]
        _equal(
            (first.function, first.args, first.kwargs, first.cell), ("echo", (1.0, "b"), {"value": 2**60 + 1}, 1), "it"
        )
        _same(first.args[0], 1.0, "a float argument")


def check_a_host_error_is_raised_in_the_cell(make_session: MakeSession) -> None:
    """Where the code can catch it; left alone it fails the cell with the host's message."""

    def fail(call: HostCall) -> Any:
        raise LookupError("no such page")

    with _started(make_session, _Host(fail), Setup((HostFunction("find"),))) as session:
        caught = _clean(session, "try:\n    find()\nexcept Exception as error:\n    print('caught', error)")
        _require(
            "no such page" in caught.stdout, f"the message reaches the code that catches it, not {caught.stdout!r}"
        )
        _require("no such page" in _run(session, "find()").text, "the message is in the failed cell's text")


def check_a_failed_subcall_is_no_text(make_session: MakeSession) -> None:
    """A SubcallError in a batch is falsy, keeps its kind, and cannot be used as text; raised, it stays itself."""

    def answer(call: HostCall) -> Any:
        failure = SubcallError("timeout", "no answer within 3 s")
        if call.args:
            return ["fine", failure]
        raise failure

    with _started(make_session, _Host(answer), Setup((HostFunction("ask"),))) as session:
        _equal(_clean(session, "good, bad = ask('batch')\nbool(bad), bad.kind").value, "(False, 'timeout')", "the item")
        for use in ("good + bad", "'no' in bad", "len(bad)", "bad[0]"):
            error = _run(session, use).error
            _equal(error and error.type, "TypeError", f"the error of {use}")
        error = _run(session, "ask()").error
        _equal(error and error.type, "SubcallError", "the error of a single call")


def check_awaited_host_calls_run_at_once(make_session: MakeSession) -> None:
    """All of a gather are in flight before the first is answered, and answers find their calls in any order."""
    waiting: list[tuple[HostCall, Future[Any]]] = []

    def dispatch(call: HostCall) -> Future[Any]:
        waiting.append((call, Future()))
        if len(waiting) == 20:
            for asked, future in reversed(waiting):
                future.set_result(asked.args[0] * 10)
        return waiting[-1][1]

    with _started(make_session, dispatch, Setup((HostFunction("times"),))) as session:
        code = "import asyncio\nawait asyncio.gather(*(times.aio(i) for i in range(20))) == [10 * i for i in range(20)]"
        _equal(_clean(session, code).value, "True", "whether each call got its own answer")


def check_a_cancelled_host_call_fails_in_the_cell(make_session: MakeSession) -> None:
    """And leaves the session as it was."""

    def dispatch(call: HostCall) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        return future

    with _started(make_session, dispatch, Setup((HostFunction("ask"),))) as session:
        _require(_run(session, "ask()").error is not None, "a cancelled call fails its cell")
        _equal(_clean(session, "1 + 1").value, "2", "a cell after it")


def check_submit_ends_a_cell_with_its_fields(make_session: MakeSession) -> None:
    """By name or in order; text printed before is kept, and nothing after it runs."""
    with _started(make_session, setup=Setup(outputs=("answer", "score"))) as session:
        result = _run(session, "print('done')\nSUBMIT('yes', score=2**60 + 1)\nafter = 1")
        _equal(result.final, {"answer": "yes", "score": 2**60 + 1}, "the fields")
        _equal((result.stdout, result.error), ("done\n", None), "stdout and error")
        _equal(_clean(session, "'after' in globals()").value, "False", "whether code after SUBMIT ran")
    with _started(make_session, setup=Setup(outputs=("answer", "note"), optional=frozenset({"note"}))) as session:
        _equal(_run(session, "SUBMIT('yes')").final, {"answer": "yes"}, "the fields without one that is optional")


def check_a_wrong_submit_is_an_error_of_the_cell(make_session: MakeSession) -> None:
    """It names what is missing, unknown, or not to be sent."""
    with _started(make_session, setup=Setup(outputs=("answer",))) as session:
        for code, name in {"SUBMIT()": "answer", "SUBMIT(reply=1)": "reply", "SUBMIT(object())": "object"}.items():
            result = _run(session, code)
            _equal(result.final, None, f"the fields of {code}")
            _require(name in result.text, f"the error of {code} names {name!r}, not {result.text!r}")


def check_no_except_swallows_submit(make_session: MakeSession) -> None:
    """The first SUBMIT counts, whatever the code does after it."""
    with _started(make_session) as session:
        result = _run(session, "try:\n    SUBMIT(1)\nexcept:\n    pass\nSUBMIT(2)")
        _equal(result.final, {"output": 1}, "the fields")
        _equal(_clean(session, "3").final, None, "the fields of the next cell")


def check_randomness_follows_the_seed(make_session: MakeSession) -> None:
    """So that a session which had to be rebuilt repeats itself."""
    sources = ("random.random()", "uuid.uuid4().hex", "os.urandom(4)")

    def drawn(seed: int) -> list[str | None]:
        with _started(make_session, setup=Setup(seed=seed)) as session:
            _clean(session, "import os, random, uuid")
            return [_clean(session, source).value for source in sources]

    first, again, other = drawn(1), drawn(1), drawn(2)
    _equal(first, again, "what the same seed draws")
    for source, one, another in zip(sources, first, other, strict=True):
        _require(one != another, f"another seed draws something else from {source}")


def check_files_of_the_host_are_out_of_reach(make_session: MakeSession) -> None:
    """A cell neither reads nor writes them, whatever paths it knows."""
    with tempfile.TemporaryDirectory() as folder, _started(make_session) as session:
        secret, forged = Path(folder, "secret"), Path(folder, "forged")
        secret.write_text("the host's secret")
        read = _run(session, f"print(open({str(secret)!r}).read())")
        _require("the host's secret" not in read.text, "a cell does not read a file of the host")
        _run(session, f"import os\nos.makedirs({folder!r}, exist_ok=True)\nopen({str(forged)!r}, 'w').write('x')")
        _require(not forged.exists(), "a cell does not write a file of the host")


def check_close_ends_a_running_cell(make_session: MakeSession) -> None:
    """At once; its future fails with SandboxError, as does whatever is asked of the session later."""
    called = threading.Event()

    def dispatch(call: HostCall) -> Future[Any]:
        called.set()
        return Future()

    with _started(make_session, dispatch, Setup((HostFunction("wait"),))) as session:
        running = session.execute("wait()\nwhile True: pass")
        _require(called.wait(_PATIENCE_SECONDS), "the cell runs")
        session.close()
        _fails(running, SandboxError, "the cell")
        _fails(session.execute("1"), SandboxError, "a cell after close")
        session.close()


def check_a_session_that_never_started_says_so(make_session: MakeSession) -> None:
    """And can be closed."""
    session = make_session()
    _fails(session.execute("1"), SandboxError, "a cell before start")
    session.close()


CHECKS: tuple[Check, ...] = tuple(check for name, check in list(globals().items()) if name.startswith("check_"))


@contextmanager
def _started(
    make_session: MakeSession,
    host: _Host | Callable[[HostCall], Future[Any]] | None = None,
    setup: Setup | None = None,
) -> Generator[Session]:
    dispatch = (host or _Host()).dispatch if host is None or isinstance(host, _Host) else host
    session = make_session()
    try:
        session.start(setup or Setup(), dispatch).result(_PATIENCE_SECONDS)
        yield session
    finally:
        session.close()


def _run(session: Session, code: str) -> CellResult:
    return session.execute(code).result(_PATIENCE_SECONDS)


def _clean(session: Session, code: str) -> CellResult:
    result = _run(session, code)
    _require(result.error is None, f"the cell {code!r} runs without error, not: {result.text}")
    return result


def _require(holds: bool, promise: str) -> None:
    if not holds:
        raise NotConforming(f"expected that {promise}")


def _equal(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise NotConforming(f"{what}: expected {expected!r}, found {found!r}")


def _same(found: object, expected: object, what: str) -> None:
    """Equal in value and type, and in the sign of zero."""
    _equal((type(found), repr(found)), (type(expected), repr(expected)), what)


def _fails(future: Future[Any], kind: type[Exception], what: str) -> None:
    error = future.exception(_PATIENCE_SECONDS)
    _require(isinstance(error, kind), f"{what} fails with {kind.__name__}, not with {error!r}")
