"""The two drivers of a generator without I/O: it says what it wants done, and gets what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

StepT = TypeVar("StepT")
T = TypeVar("T")


def drive(steps: Generator[StepT, Any, T], do: Callable[[StepT], Any]) -> T:
    """Does what the steps want, on this thread, until they end.

    Args:
        steps: What is wanted, one thing at a time. Whatever ends them, Ctrl-C too, they are closed.
        do: Does one of them. What it returns is sent to the steps, and an `Exception` that it raises is thrown there.

    Returns:
        What the steps return.
    """
    reply = _Reply()
    with closing(steps):
        while True:
            try:
                step = reply.give(steps)
            except StopIteration as end:
                return end.value
            try:
                reply = _Reply(do(step))
            except Exception as error:
                reply = _Reply(error=error)


async def adrive(steps: Generator[StepT, Any, T], do: Callable[[StepT], Awaitable[Any]]) -> T:
    """The same where `do` has to be awaited; a task that is cancelled closes the steps, too."""
    reply = _Reply()
    with closing(steps):
        while True:
            try:
                step = reply.give(steps)
            except StopIteration as end:
                return end.value
            try:
                reply = _Reply(await do(step))
            except Exception as error:
                reply = _Reply(error=error)


@dataclass(frozen=True, slots=True)
class _Reply:
    value: Any = None
    error: Exception | None = None

    def give(self, steps: Generator[StepT, Any, Any]) -> StepT:
        return steps.send(self.value) if self.error is None else steps.throw(self.error)
