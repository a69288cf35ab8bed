"""How long a run waits: until what it waits for is done, its time is over, or it is stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from rlm_module.budget import Budget, least
from rlm_module.errors import LimitReached
from rlm_module.host.workers import result_of

T = TypeVar("T")


class Stopped(BaseException):
    """Leaves a child RLM whose answer nobody waits for any more."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the time of a run tree is over, by the monotonic clock.

    Args:
        work: When work has to stop, so that time is left to draw up an answer; None for never.
        end: When that has to be done, too.
    """

    work: float | None = None
    end: float | None = None

    @classmethod
    def of(cls, budget: Budget, used: float = 0.0) -> Deadline:
        """That of a budget, of which an earlier part of the run used some seconds."""
        if budget.seconds is None:
            return cls()
        end = time.monotonic() + max(0.0, budget.seconds - used)
        return cls(end - budget.extract_seconds, end)

    def sooner(self, other: Deadline) -> Deadline:
        """The sooner of the two."""
        return Deadline(least(self.work, other.work), least(self.end, other.end))

    def left(self, *, is_final: bool = False) -> float | None:
        """Seconds left for work, or for drawing up an answer; None for any number."""
        at = self.end if is_final else self.work
        return None if at is None else max(0.0, at - time.monotonic())


def waited(future: Future[T], left: float | None, stop: Future[Any] | None = None) -> T:
    """The result of a future.

    Args:
        future: What to wait for.
        left: Seconds to wait at most; None for any number.
        stop: Done when the run is stopped.

    Raises:
        LimitReached: If the time is over first.
        Stopped: If the run is stopped first.
    """
    if left is None and stop is None:
        return result_of(future)
    wait([future] if stop is None else [future, stop], left, FIRST_COMPLETED)
    if future.done():
        return result_of(future)
    raise LimitReached("seconds") if stop is None or not stop.done() else Stopped


async def awaited(awaitable: Awaitable[T], left: float | None) -> T:
    """The same for what is awaited."""
    if left is None:
        return await awaitable
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait({task}, timeout=left)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if task.done():
        return task.result()
    task.cancel()
    raise LimitReached("seconds")
