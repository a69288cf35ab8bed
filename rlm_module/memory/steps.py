"""A program's way to its answer as a generator that says what it wants called, and its two drivers."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """Wants something called.

    Args:
        module: A module, or a function that may wait for a disk.
        inputs: With what.
    """

    module: Any
    inputs: Mapping[str, Any]


Steps: TypeAlias = "Generator[Ask, Any, T]"


def drive(steps: Steps[T]) -> T:
    """Calls what the steps want, until they end."""
    reply = _Reply()
    with closing(steps):  # whatever ends it, Ctrl-C too, leaves what they have open
        while True:
            try:
                step = reply.give(steps)
            except StopIteration as end:
                return end.value
            try:
                reply = _Reply(step.module(**step.inputs))
            except Exception as error:
                reply = _Reply(error=error)


async def adrive(steps: Steps[T]) -> T:
    """Does the same without blocking the event loop: what cannot be awaited is called on a thread."""
    reply = _Reply()
    with closing(steps):
        while True:
            try:
                step = reply.give(steps)
            except StopIteration as end:
                return end.value
            try:
                call = getattr(step.module, "acall", None) or partial(asyncio.to_thread, step.module)
                reply = _Reply(await call(**step.inputs))
            except Exception as error:
                reply = _Reply(error=error)


@dataclass(frozen=True, slots=True)
class _Reply:
    value: Any = None
    error: Exception | None = None

    def give(self, steps: Steps[Any]) -> Ask:
        return steps.send(self.value) if self.error is None else steps.throw(self.error)
