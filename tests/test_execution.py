"""A run beside its caller: on an event loop, when it is cancelled, and what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import RLM, FatalError, Sandbox, capture_runs
from rlm_module.events import RunFinished
from rlm_module.journal import RunFolder
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, turn


def _answer(rlm: RLM, *cells: str, sub: Any = None, **inputs: Any) -> Any:
    """Runs cells as the root's turns, with `sub` answering everything else."""
    with dspy.context(lm=ScriptedLM([turn(cell) for cell in cells])):
        if sub is not None:
            rlm.sub_lm = sub
        return rlm(**inputs)


def test_awaiting_gives_the_same_and_never_blocks_the_loop() -> None:
    async def tick(longest: list[float], done: asyncio.Event) -> None:
        while not done.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            longest[0] = max(longest[0], time.perf_counter() - before)

    async def tool(x: int) -> int:
        return x + 1

    async def main() -> Any:
        longest, done = [0.0], asyncio.Event()
        ticker = asyncio.create_task(tick(longest, done))
        prediction = await RLM("q -> a: int", tools=[tool]).acall(q="1")
        done.set()
        await ticker
        return prediction, longest[0]

    lm = ScriptedLM([turn("t = sum(range(10**6))"), turn("SUBMIT(a=tool(1))")])
    with dspy.context(lm=lm):
        prediction, longest = asyncio.run(main())
    assert prediction.a == 2
    assert longest < 0.25


@pytest.mark.parametrize("reply", [turn("SUBMIT(a='x')"), dspy.LMError("gone", model="m")], ids=["answered", "failed"])
def test_awaiting_never_waits_for_the_disk_on_the_loop(
    reply: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_on: list[threading.Thread] = []
    close = RunFolder.close

    def noted(self: RunFolder) -> None:
        closed_on.append(threading.current_thread())
        close(self)

    monkeypatch.setattr(RunFolder, "close", noted)
    rlm = RLM("q -> a", journal=tmp_path, interpreter_factory=FakeInterpreter)
    with dspy.context(lm=ScriptedLM([reply])), suppress(FatalError):
        asyncio.run(rlm.acall(q="1"))
    assert len(closed_on) == 1
    assert threading.main_thread() not in closed_on


@pytest.mark.parametrize("how", ["cancel", "wait_for"])
def test_cancelling_ends_the_sandbox_and_everything_in_flight(how: str) -> None:
    sessions: list[Any] = []
    started = threading.Event()

    def factory() -> Sandbox:
        sandbox = Sandbox()
        sessions.append(sandbox.session)
        return sandbox

    def tool() -> None:
        started.set()

    async def main() -> None:
        run = asyncio.create_task(RLM("q -> a", tools=[tool], interpreter_factory=factory).acall(q="1"))
        await asyncio.to_thread(started.wait, 20)
        if how == "cancel":
            run.cancel()
            await run
        else:
            await asyncio.wait_for(run, 0.05)

    with dspy.context(lm=ScriptedLM([turn("tool()\nwhile True: pass")])), capture_runs() as runs:
        began = time.perf_counter()
        with pytest.raises((asyncio.CancelledError, TimeoutError)):
            asyncio.run(main())
    assert time.perf_counter() - began < 15
    assert sessions[0].pid is None
    finished = runs[0].events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.reason == "cancelled"


def test_ctrl_c_while_a_cell_spins_ends_everything_at_once() -> None:
    sessions: list[Any] = []

    def factory() -> Sandbox:
        sandbox = Sandbox()
        sessions.append(sandbox.session)
        return sandbox

    def tool() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    rlm = RLM("q -> a", tools=[tool], interpreter_factory=factory)
    with capture_runs() as runs, pytest.raises(KeyboardInterrupt):
        _answer(rlm, "tool()\nwhile True: pass", q="1")
    assert sessions[0].pid is None
    finished = runs[0].events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.reason == "cancelled"


def test_a_predictor_that_cannot_be_awaited_does_not_block_the_loop() -> None:
    async def main() -> Any:
        rlm = RLM("q -> a", interpreter_factory=FakeInterpreter)
        here = threading.get_ident()

        def act(**_: Any) -> dspy.Prediction:
            assert threading.get_ident() != here
            return dspy.Prediction(reasoning="r", code="SUBMIT(a='x')")

        rlm.generate_action = act
        return await rlm.acall(q="1")

    assert asyncio.run(main()).a == "x"


def test_an_async_predictor_works_in_a_sync_call() -> None:
    async def act(**_: Any) -> dspy.Prediction:
        return dspy.Prediction(reasoning="r", code="SUBMIT(a='x')")

    rlm = RLM("q -> a", interpreter_factory=FakeInterpreter)
    rlm.generate_action = act
    assert rlm(q="1").a == "x"


def test_many_runs_leave_no_thread_and_no_file_open() -> None:
    def tool(x: int) -> int:
        return x

    rlm = RLM("q -> a", tools=[tool], interpreter_factory=FakeInterpreter)
    cells = ["tool(x=1)\nllm_query('x')", "SUBMIT(a='x')"]
    _answer(rlm, *cells, sub=lambda prompt: [prompt], q="1")
    threads, files = threading.active_count(), len(os.listdir("/dev/fd"))
    for _ in range(100):
        _answer(rlm, *cells, sub=lambda prompt: [prompt], q="1")
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert threading.active_count() <= threads
    assert len(os.listdir("/dev/fd")) <= files
