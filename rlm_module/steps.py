"""What an RLM may want done on its way to an answer, and who does it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from rlm_module.host.workers import Crew, result_of
from rlm_module.lms.accounts import Account
from rlm_module.tree import Node, Tree
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


@dataclass(frozen=True, slots=True)
class Doer:
    """Does what one RLM wants, until its time is over or it is stopped.

    Args:
        tree: Its time, and the places of sub-calls.
        node: Its place in the tree.
        threads: Where a predictor of the root is called that may have to be left behind.
    """

    tree: Tree
    node: Node
    threads: Crew

    def do(self, step: Wait | Ask) -> Any:
        """Does it, and blocks this thread meanwhile.

        Raises:
            LimitReached: If the time is over first.
            Stopped: If the RLM is stopped first.
        """
        if isinstance(step, Wait):
            return waited(step.future, step.left(self.tree.deadline), self.node.stop)
        return self._ask(step)

    async def ado(self, step: Wait | Ask) -> Any:
        """The same without blocking the event loop."""
        if isinstance(step, Wait):
            return await awaited(asyncio.shield(asyncio.wrap_future(step.future)), step.left(self.tree.deadline))
        return await self._aask(step)

    def _ask(self, step: Ask) -> Any:
        """Calls a predictor: that of the root where the caller is, so that dspy's context is the caller's own, unless
        it has to be left behind when the time is over; that of a child in a place of a sub-call.
        """
        left = self.tree.deadline.left(is_final=step.is_final)
        if not self.node.depth and left is None:
            return self._ask_here(step)
        crew = self.tree.lm_calls if self.node.depth else self.threads
        asked = crew.submit(partial(self._ask_here, step))
        try:
            return waited(asked, left, self.node.stop)
        finally:
            asked.cancel()  # if it has not begun yet

    def _ask_here(self, step: Ask) -> Any:
        with step.account.scope():
            result = step.predictor(**step.inputs)
            return result_of(self.tree.coroutines.submit(_result(result))) if inspect.isawaitable(result) else result

    async def _aask(self, step: Ask) -> Any:
        left = self.tree.deadline.left(is_final=step.is_final)
        with step.account.scope():
            call = getattr(step.predictor, "acall", None) or step.predictor
            if call is step.predictor and not inspect.iscoroutinefunction(call):
                return await awaited(asyncio.wrap_future(self.threads.submit(partial(call, **step.inputs))), left)
            return await awaited(call(**step.inputs), left)


async def _result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
