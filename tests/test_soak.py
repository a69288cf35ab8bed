"""Many real runs in one process leave nothing behind."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlm_module import RLM, OfflineLM
from tests.scripted import ScriptedLM, turn

RUNS = 200
SIDE_BY_SIDE = 4


def child_processes() -> set[int]:
    """Ids of the running children of this process."""
    children = (Path("/proc") / "self" / "task").glob("*/children")
    return {int(pid) for task in children for pid in task.read_text().split()}


def settled(count: Callable[[], int], expected: int) -> int:
    """The count once it is down to what is expected, or after five seconds: threads end a moment after their run."""
    pause = threading.Event()
    for _ in range(500):
        if count() <= expected:
            break
        pause.wait(0.01)
    return count()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts children the way Linux shows them")
def test_two_hundred_runs_leave_no_process_thread_or_file_behind() -> None:
    def shout(text: str) -> str:
        return text.upper()

    rlm = RLM("context, query -> answer", tools=[shout])

    def run(number: int) -> str:
        root = ScriptedLM([turn("print(shout(context), llm_query(context))"), turn(f"SUBMIT(answer='{number}')")])
        with_lms = rlm.deepcopy()
        with_lms.set_lm(root)
        with_lms.sub_lm = OfflineLM()
        return str(with_lms(context="a text", query="?").answer)

    assert [run(number) for number in range(2)] == ["0", "1"]
    gc.collect()
    processes, threads, files = child_processes(), threading.active_count(), len(os.listdir("/dev/fd"))

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        assert list(pool.map(run, range(RUNS))) == [str(number) for number in range(RUNS)]

    gc.collect()
    assert settled(lambda: len(child_processes() - processes), 0) == 0
    assert settled(threading.active_count, threads) <= threads
    assert settled(lambda: len(os.listdir("/dev/fd")), files) <= files
