"""The link to a process that is gone before it is known, or no longer wanted when it comes."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from rlm_module.sandbox.background import submit
from rlm_module.sandbox.link import Ended, Link
from rlm_module.sandbox.process import DenoProcess
from rlm_module.sandbox.runtime import ensure_runtime
from tests.sandbox.repl import PATIENCE
from tests.sandbox.watch import is_alive


def test_a_process_that_ends_before_it_is_known_is_not_taken_for_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = DenoProcess.start

    async def begin_and_end(*args: Any) -> DenoProcess:
        process = await begin(*args)
        await process.kill("it was early")
        return process

    monkeypatch.setattr(DenoProcess, "start", begin_and_end)
    link = Link(count(1))
    with pytest.raises(Ended, match="it was early"):
        submit(link.start(ensure_runtime(), memory_mb=256)).result(PATIENCE)
    assert link.pid is None


def test_a_process_that_is_no_longer_wanted_when_it_comes_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = DenoProcess.start
    link = Link(count(1))
    pids: list[int] = []
    ends: list[asyncio.Task[None]] = []

    async def begin_unwanted(*args: Any) -> DenoProcess:
        ends.append(asyncio.ensure_future(link.end("nobody wants it")))
        process = await begin(*args)
        pids.append(process.pid)
        return process

    async def end() -> None:
        await ends[0]

    monkeypatch.setattr(DenoProcess, "start", begin_unwanted)
    with pytest.raises(Ended, match="nobody wants it"):
        submit(link.start(ensure_runtime(), memory_mb=256)).result(PATIENCE)
    submit(end()).result(PATIENCE)
    assert link.pid is None
    assert not is_alive(pids[0])
