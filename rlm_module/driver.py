"""What a loop may want, and who does it: a loop is a generator without I/O, and this is its two drivers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from rlm_module.lms.accounts import Account
from rlm_module.waiting import Deadline, awaited, waited

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wait:
    """Wants the result of something that is under way, which goes on where the wait is over first.

    Args:
        future: Its future.
        grace: Seconds to wait even where the time of the run is over; None to wait for as long as that lasts.
    """

    future: Future[Any]
    grace: float | None = None

    def left(self, deadline: Deadline) -> float | None:
        """Seconds to wait at most; None for any number."""
        return deadline.left() if self.grace is None else self.grace


@dataclass(frozen=True, slots=True)
class Ask:
    """Wants a predictor called, and what that uses charged to an account.

    Args:
        predictor: What to call.
        inputs: Its arguments.
        account: Who pays.
        is_final: Whether it draws up the answer of the run, for which time is kept.
    """

    predictor: Callable[..., Any]
    inputs: Mapping[str, Any]
    account: Account
    is_final: bool = False


Steps: TypeAlias = "Generator[Wait | Ask, Any, T]"


def drive(steps: Steps[T], ask: Callable[[Ask], Any], deadline: Deadline, stop: Future[None] | None = None) -> T:
    """Does what the steps want, on this thread, until they end, their time is over, or they are stopped."""
    reply = _Reply()
    while True:
        try:
            step = reply.give(steps)
        except StopIteration as end:
            return end.value
        try:
            value = waited(step.future, step.left(deadline), stop) if isinstance(step, Wait) else ask(step)
            reply = _Reply(value)
        except Exception as error:
            reply = _Reply(error=error)


async def adrive(steps: Steps[T], ask: Callable[[Ask], Awaitable[Any]], deadline: Deadline) -> T:
    """Does the same without blocking the event loop."""
    reply = _Reply()
    while True:
        try:
            step = reply.give(steps)
        except StopIteration as end:
            return end.value
        try:
            if isinstance(step, Wait):
                waiting = asyncio.shield(asyncio.wrap_future(step.future))
                reply = _Reply(await awaited(waiting, step.left(deadline)))
            else:
                reply = _Reply(await ask(step))
        except Exception as error:
            reply = _Reply(error=error)


@dataclass(frozen=True, slots=True)
class _Reply:
    value: Any = None
    error: Exception | None = None

    def give(self, steps: Steps[Any]) -> Wait | Ask:
        return steps.send(self.value) if self.error is None else steps.throw(self.error)
