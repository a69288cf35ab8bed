"""No cell runs longer than it may, and what it is stopped by costs as little of its session as can be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from rlm_module.errors import InputError
from rlm_module.sandbox.deno import DenoSession
from tests.sandbox.repl import Repl


def _after(seconds: float) -> Future[str]:
    future: Future[str] = Future()
    threading.Timer(seconds, future.set_result, ("answered",)).start()
    return future


@pytest.fixture(scope="module")
def quick() -> Iterator[Repl]:
    """Cells may run for half a second; nothing in a test of this fixture is to get its process killed."""
    with Repl({"after": _after}, cell_seconds=0.5) as repl:
        repl.run("import asyncio, time\nkept = [1]")
        pid = repl.pid
        yield repl
        assert repl.pid == pid


_ENDLESS = {
    "a loop": "while True: pass",
    "a sleep": "time.sleep(10**6)",
    "an awaited sleep": "await asyncio.sleep(10**6)",
    "a gather of sleeps": "await asyncio.gather(*(asyncio.sleep(10**6) for _ in range(5)))",
    "a future nobody settles": "await asyncio.get_event_loop().create_future()",
    "asyncio.run": "async def spin():\n    while True: await asyncio.sleep(0)\nasyncio.run(spin())",
    "a generator": "sum(1 for _ in iter(int, 1))",
    "recursion that catches": "def f():\n    while True:\n        try: f()\n        except RecursionError: pass\nf()",
    "a loop in an except": "try: 1 / 0\nexcept ZeroDivisionError:\n    while True: pass",
    "a runaway regular expression": "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')",
    "a loop that catches Exception": "while True:\n    try: pass\n    except Exception: pass",
}


@pytest.mark.parametrize("code", _ENDLESS.values(), ids=_ENDLESS.keys())
def test_pitfalls_11_and_12_an_endless_cell_is_interrupted_with_its_state_kept(quick: Repl, code: str) -> None:
    quick.run("kept.append(len(kept) + 1)")
    length = quick.value("len(kept)")
    result = quick.run("print('began')\nhalf = 'set'\n" + code)
    assert result.error is not None
    assert (result.error.kind, result.error.type) == ("interrupted", "KeyboardInterrupt"), result.text
    assert "time limit" in result.error.message
    assert result.stdout == "began\n"
    assert quick.value("half") == "'set'"
    assert quick.value("len(kept)") == length


def test_a_cell_after_an_interrupt_has_its_whole_time(quick: Repl) -> None:
    assert quick.error("while True: pass").kind == "interrupted"
    for _ in range(3):
        assert quick.value("sum(range(1000))") == "499500"
    assert quick.error("while True: pass").kind == "interrupted"


def test_cleanup_of_an_interrupted_cell_runs_and_is_seen(quick: Repl) -> None:
    result = quick.run("try:\n    while True: pass\nfinally:\n    print('cleaned up')")
    assert result.stdout == "cleaned up\n"
    assert result.error is not None
    assert result.error.kind == "interrupted"


@pytest.mark.parametrize("call", ["after(0.8)", "await after.aio(0.8)"])
def test_pitfall_13_waiting_for_the_host_takes_none_of_the_cells_time(quick: Repl, call: str) -> None:
    assert quick.value(call) == "'answered'"


def test_pitfall_13_the_limit_still_holds_after_a_wait(quick: Repl) -> None:
    assert quick.error("after(0.6)\nwhile True: pass").kind == "interrupted"


_UNSTOPPABLE = {
    "a builtin that runs for hours": "sum(range(10**15))",
    "a loop that catches everything": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "a loop of JavaScript": "from pyodide.code import run_js\nrun_js('while (true) {}')",
    "a sleep that is not patched": "from js import Atomics, Int32Array, SharedArrayBuffer\n"
    "from pyodide.code import run_js\nrun_js('Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0)')",
}


@pytest.mark.parametrize("code", _UNSTOPPABLE.values(), ids=_UNSTOPPABLE.keys())
@pytest.mark.usefixtures("short_grace")
def test_pitfall_12_what_ignores_interrupts_is_killed_and_rebuilt(repl: Repl, code: str) -> None:
    repl.run("kept = [1]\nkept.append(keep(2))")
    pid, calls = repl.pid, len(repl.calls)
    result = repl.run("kept = 'lost'\n" + code)
    assert result.error is not None
    assert (result.error.kind, result.error.type) == ("killed", "TimeoutError"), result.text
    assert "as they were before this cell" in result.text
    assert repl.value("kept") == "[1, 2]"
    assert repl.pid != pid
    assert len(repl.calls) == calls


def test_a_wait_for_the_host_can_be_ended_by_closing() -> None:
    called = threading.Event()

    def never() -> Future[Any]:
        called.set()
        return Future()

    with Repl({"never": never}) as repl:
        running = repl.session.execute("never()")
        assert called.wait(60)
        repl.close()
        assert "session was closed" in str(running.exception(60))


@pytest.mark.parametrize("limits", [{"cell_seconds": 0}, {"cell_seconds": -1}, {"cell_seconds": float("nan")}])
def test_a_time_limit_that_makes_no_sense_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="cell_seconds must be above 0"):
        DenoSession(**limits)
