"""An LM that plays back replies without delay, or takes a fixed time over each."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage, response_to_events


def cell(code: str) -> str:
    """A root reply that runs `code`, as both dspy.RLM and this package read it."""
    return f"[[ ## reasoning ## ]]\nGo on.\n\n[[ ## code ## ]]\n```python\n{code}\n```\n\n[[ ## completed ## ]]"


class _Engine:
    def __init__(self, replies: Iterable[str], seconds: float) -> None:
        self._replies = iter(replies)
        self._seconds = seconds

    def complete(self, request: Request) -> Response:
        time.sleep(self._seconds)
        return self._next(request)

    def stream(self, request: Request) -> Iterator[Any]:
        yield from response_to_events(self.complete(request))

    def close(self) -> None: ...

    async def acomplete(self, request: Request) -> Response:
        await asyncio.sleep(self._seconds)
        return self._next(request)

    def _next(self, request: Request) -> Response:
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(next(self._replies)),
            finish_reason="stop",
            usage=Usage(input_tokens=10, output_tokens=5),
        )


class _AsyncEngine:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        return await self._engine.acomplete(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        for event in response_to_events(await self.complete(request)):
            yield event

    async def aclose(self) -> None: ...


def scripted_lm(replies: Iterable[str], seconds: float = 0.0) -> dspy.LM:
    """An LM that gives these replies in order, each after `seconds`."""
    engine = _Engine(replies, seconds)
    return dspy.LM("scripted/model", engine=engine, async_engine=_AsyncEngine(engine), cache=False, num_retries=0)


def root_lm(cells: Iterable[str]) -> dspy.LM:
    """An LM whose replies run these cells."""
    return scripted_lm(cell(code) for code in cells)


def slow_lm(seconds: float) -> dspy.LM:
    """An LM that answers "ok" after `seconds`, for ever."""
    return scripted_lm(itertools.repeat("ok"), seconds)
