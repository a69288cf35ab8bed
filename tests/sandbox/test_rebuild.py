"""A sandbox that had to be killed comes back as it was, and makes no host call twice."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from rlm_module.sandbox.base import HostFunction, Setup
from rlm_module.sandbox.deno import DenoSession
from tests.sandbox.repl import PATIENCE, Repl

_DIE = "from js import Deno\nDeno.exit(3)"
_DRAW = "(random.random(), uuid.uuid4().hex, os.urandom(4), random.SystemRandom().random(), list({'a', 'b', 'c'}))"


def _killed(repl: Repl) -> str:
    """Has the code kill its own process; what the cell says of it."""
    pid, result = repl.pid, repl.run(_DIE)
    assert result.error is not None
    assert result.error.kind == "killed", result.text
    assert not os.path.exists(f"/proc/{pid}")
    return result.text


def test_variables_inputs_and_functions_are_back_and_no_call_is_made_twice() -> None:
    counter = iter(range(1000))
    functions: dict[str, Callable[..., Any]] = {"tick": lambda *_: next(counter), "fail": lambda: 1 / 0}
    with Repl(functions, cell_seconds=5) as repl:
        repl.load(rows=[1])
        repl.run("rows.append(tick())\ndef double(x): return 2 * x")
        repl.run("import asyncio\nmany = await asyncio.gather(*(tick.aio(i % 2) for i in range(8)))")
        repl.run("try: fail()\nexcept RuntimeError as error: seen = str(error)\nboth = [tick('same'), tick('same')]")
        before = repl.value("rows, many, seen, both, double(4)")
        calls = len(repl.calls)
        for _ in range(2):
            _killed(repl)
            assert repl.value("rows, many, seen, both, double(4)") == before
            assert len(repl.calls) == calls
        assert repl.value("tick()") == str(calls - 1), "a new call goes to the host"


def test_randomness_goes_on_as_if_nothing_had_happened() -> None:
    seen: list[list[str | None]] = []
    for kills in (True, False):
        with Repl(seed=7) as repl:
            repl.run(f"import random, uuid, os\nfirst = {_DRAW}")
            if kills:
                _killed(repl)
            seen.append([repl.value("first"), repl.value(_DRAW)])
    assert seen[0] == seen[1]


_CLOCKS = "[f() for f in (time.time, time.time_ns, time.monotonic, time.perf_counter, datetime.datetime.now)]"


def test_a_replayed_cell_reads_the_times_that_it_read() -> None:
    with Repl() as repl:
        repl.run(f"import time, datetime\nfirst = [{_CLOCKS} for _ in range(3)]")
        before = repl.value("first")
        _killed(repl)
        assert repl.value("first") == before


def test_clocks_go_on_after_a_replay() -> None:
    with Repl() as repl:
        repl.run(f"import time, datetime\nfirst = {_CLOCKS}")
        _killed(repl)
        assert repl.value(f"all(now >= then for now, then in zip({_CLOCKS}, first))") == "True"
        assert abs(float(repl.value("time.time()") or 0) - time.time()) < 60


def test_more_reads_than_are_recorded_go_on_from_the_last() -> None:
    with Repl() as repl:
        repl.run("import time\nseen = [time.perf_counter() for _ in range(20_000)]")
        first = repl.value("seen[:1000]")
        _killed(repl)
        assert repl.value("seen[:1000]") == first
        assert repl.value("seen == sorted(seen)") == "True"


@pytest.mark.usefixtures("short_grace")
def test_what_an_interrupted_cell_assigned_is_lost_and_said(repl: Repl) -> None:
    repl.run("kept = 1")
    repl.run("gone, again = 2, 3\ndef helper(): pass\nimport json\nwhile True: pass")
    assert repl.value("(kept, gone, again)") == "(1, 2, 3)", "an interrupt alone loses nothing"
    repl.run("again = 4")
    text = _killed(repl)
    assert "but for gone, helper, json, which are gone with the cells that assigned them" in text
    assert repl.value("kept, again, [name for name in ('gone', 'helper', 'json') if name in globals()]") == "(1, 4, [])"


def test_a_process_that_somebody_kills_between_cells_is_rebuilt(repl: Repl) -> None:
    repl.run("kept = keep('once')")
    os.kill(repl.pid, signal.SIGKILL)
    results = [repl.run("kept") for _ in range(2)]  # the first may still find the process that is about to end
    assert results[-1].value == "'once'"
    assert len(repl.calls) == 1


def test_a_process_that_dies_while_the_host_works_cancels_the_call_and_is_rebuilt() -> None:
    called, work = threading.Event(), Future[Any]()

    def slow() -> Future[Any]:
        called.set()
        return work

    with Repl({"slow": slow}) as repl:
        repl.run("kept = 1")
        running = repl.session.execute("kept = slow()")
        assert called.wait(PATIENCE)
        os.kill(repl.pid, signal.SIGKILL)
        error = running.result(PATIENCE).error
        assert error is not None
        assert error.kind == "killed"
        assert work.cancelled()
        assert repl.value("kept") == "1"


def test_a_rebuilt_session_serves_the_functions_it_was_given_last() -> None:
    asked: list[str] = []

    def dispatch(call: Any) -> Future[Any]:
        asked.append(call.function)
        future: Future[Any] = Future()
        future.set_result(call.function)
        return future

    session = DenoSession()
    try:
        session.start(Setup((HostFunction("old"),)), dispatch).result(PATIENCE)
        session.execute("first = old()").result(PATIENCE)
        setup = Setup((HostFunction("old"), HostFunction("new", "(page)", "Reads a page.")), ("answer",))
        session.register(setup).result(PATIENCE)
        session.execute(_DIE).result(PATIENCE)
        assert session.execute("first, new()").result(PATIENCE).value == "('old', 'new')"
        assert asked == ["old", "new"]
        assert "new(page)" in session.execute("print(new.__doc__)").result(PATIENCE).stdout
        assert session.execute("SUBMIT(answer=1)").result(PATIENCE).final == {"answer": 1}
    finally:
        session.close()


def test_a_cell_that_ends_the_process_again_is_given_up() -> None:
    answers = iter((False, True))
    with Repl({"is_fatal": lambda _: next(answers)}) as repl:
        repl.load(rows=[1])
        repl.run("from js import Deno\nmine = 1\nif is_fatal(Deno.pid): Deno.exit()")  # another pid: not on record
        _killed(repl)
        result = repl.run("mine = 2")
        assert result.error is not None
        assert result.error.kind == "killed"
        assert "while its cells were run again" in result.text
        assert "but for Deno, mine, which are gone" in result.text
        assert repl.value("rows, 'mine' in globals()") == "([1], False)"


def test_a_stack_overflow_in_webassembly_ends_in_its_cell(repl: Repl) -> None:
    repl.run("kept = 1")
    error = repl.error(
        "import sys\nsys.setrecursionlimit(10**6)\nclass A:\n def __repr__(self): return repr(self)\nA()"
    )
    assert error.kind in {"exception", "killed"}
    assert repl.value("kept") == "1"


def test_a_session_closed_while_it_is_rebuilt_says_so(repl: Repl) -> None:
    repl.run("x = 1")
    _killed(repl)
    running = repl.session.execute("x")
    repl.close()
    assert "closed" in str(running.exception(PATIENCE))
