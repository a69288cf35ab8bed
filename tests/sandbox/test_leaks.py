"""Sessions that come and go, and cells without number, leave no process, thread, file or memory behind."""

from __future__ import annotations

import gc
import os
import threading
import weakref

from rlm_module.sandbox.deno import DenoSession
from tests.sandbox.repl import Repl
from tests.sandbox.watch import children


def _held() -> tuple[int, int, int]:
    """Processes, threads and open files of this process."""
    for thread in threading.enumerate():  # asyncio waits for each child on a thread, which ends a moment after it
        if thread.name.startswith("waitpid"):
            thread.join(60)
    gc.collect()
    return len(children(os.getpid())), threading.active_count(), len(os.listdir("/proc/self/fd"))


def _session(cells: int) -> weakref.ref[DenoSession]:
    with Repl({"ask": lambda value: value}, cell_seconds=5) as repl:
        repl.load(rows=[1])
        for i in range(cells):
            assert repl.value(f"rows.append(ask({i})); len(rows)") == str(i + 2)
        return weakref.ref(repl.session)


def test_ten_sessions_leave_nothing_behind() -> None:
    _session(1)
    before = _held()
    sessions = [_session(7) for _ in range(10)]
    assert _held() == before
    assert [session for session in sessions if session() is not None] == []


def test_two_hundred_cells_and_a_hundred_failures_leave_nothing_behind() -> None:
    with Repl({"fail": lambda: 1 / 0}, cell_seconds=5) as repl:
        repl.run("0")
        before = _held()
        for i in range(100):
            assert repl.value(f"{i} + 1") == str(i + 1)
            assert repl.error("fail()").kind == "exception"
        assert _held() == before


def test_sessions_that_are_killed_leave_nothing_behind() -> None:
    _session(1)
    before = _held()
    for _ in range(2):
        with Repl() as repl:
            assert repl.error("from js import Deno\nDeno.exit()").kind == "killed"
            assert repl.value("1") == "1"
    assert _held() == before
