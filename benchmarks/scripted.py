"""LMs that play back replies, or answer by a function, without delay or in a fixed time."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import dspy
from dspy.lm15 import Request, Response, response_to_events

from tests.scripted import response, turn


class AnsweringEngine:
    """Answers each request by a function of it, after `seconds`."""

    def __init__(self, answer: Callable[[Request], str | Response], seconds: float = 0.0) -> None:
        self._answer = answer
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
        answer = self._answer(request)
        return answer if isinstance(answer, Response) else response(answer)


class _AsyncEngine:
    def __init__(self, engine: AnsweringEngine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        return await self._engine.acomplete(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        for event in response_to_events(await self.complete(request)):
            yield event

    async def aclose(self) -> None: ...


def scripted_lm(replies: Iterable[str], seconds: float = 0.0) -> dspy.LM:
    """An LM that gives these replies in order, each after `seconds`."""
    left = iter(replies)
    return engine_lm(AnsweringEngine(lambda _: next(left), seconds))


def engine_lm(engine: AnsweringEngine) -> dspy.LM:
    """An LM on this engine, sync and async."""
    return dspy.LM("scripted/model", engine=engine, async_engine=_AsyncEngine(engine), cache=False, num_retries=0)


def root_lm(cells: Iterable[str]) -> dspy.LM:
    """An LM whose replies run these cells, as both dspy.RLM and this package read them."""
    return scripted_lm(map(turn, cells))


def slow_lm(seconds: float) -> dspy.LM:
    """An LM that answers "ok" after `seconds`, for ever."""
    return scripted_lm(itertools.repeat("ok"), seconds)
