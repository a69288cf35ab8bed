"""What generated code may call on the host: sub-LMs, tools and sub-agents, each charged to the run's ledger."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import dspy

from rlm_module.budget import Ledger
from rlm_module.errors import SubcallError, describe
from rlm_module.events import CallFinished, CallStarted, Role, Usage
from rlm_module.journal import Journal
from rlm_module.meter import Meter
from rlm_module.sandbox.base import HostCall, HostFunction
from rlm_module.shown import without_secrets
from rlm_module.tools import HostTool, signature_text
from rlm_module.workers import Coroutines, Crew

_SUB_CALL_SECONDS = 1800.0
"""Longest time that a sub-call may take: an LM has limits of its own, but any callable may stand in for one."""


@dataclass(slots=True)
class Spending:
    """What one host call has used of LMs."""

    ledger: Ledger
    usage: Usage = field(default_factory=Usage)

    @contextmanager
    def measured(self, role: Role) -> Generator[Meter]:
        """Books what the LM calls made within use."""
        meter = Meter()
        try:
            with meter.scope():
                yield meter
        finally:
            self.book(role, meter.spent)

    def book(self, role: Role, spent: Mapping[str, Usage]) -> None:
        """Adds usage by model to the ledger and to this call."""
        self.ledger.settle(role, spent)
        self.usage = sum(spent.values(), self.usage)


Answer: TypeAlias = "Callable[[Spending, tuple[Any, ...], dict[str, Any]], Future[Any]]"


@dataclass(frozen=True, slots=True)
class Function:
    """A host function: its name and parameters, what it does, and how a call of it is answered without blocking."""

    name: str
    signature: inspect.Signature
    doc: str
    answer: Answer

    @property
    def host_function(self) -> HostFunction:
        """The same for a session."""
        return HostFunction(self.name, signature_text(self.signature), self.doc)


class Calls:
    """Answers the host calls of one run; the `Dispatch` of its session.

    Sub-LM calls run side by side on threads of their own. Sync tools run one at a time on one thread unless they are
    marked as concurrent; what is async runs on the caller's loop. All see the context of the thread that made this.

    Args:
        ledger: Where sub-calls are counted and usage is booked.
        journal: Where calls are recorded.
        concurrency: Sub-calls, or concurrent tools, in flight.
        tool_seconds: Longest time a tool may take.
        loop: The caller's event loop, where the caller is async.
        prepare: Runs first on each thread.
    """

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        *,
        concurrency: int,
        tool_seconds: float,
        loop: asyncio.AbstractEventLoop | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.ledger = ledger
        self.functions: dict[str, Function] = {}
        self._journal = journal
        self._context = contextvars.copy_context()
        self._numbers = itertools.count(1)
        self._tool_seconds = tool_seconds
        self._pool = Crew("rlm-sub-calls", concurrency, limit=_SUB_CALL_SECONDS, prepare=prepare)
        self._lane = Crew("rlm-tools", 1, limit=tool_seconds, prepare=prepare)
        self._side_by_side = Crew("rlm-tools-concurrent", concurrency, limit=tool_seconds, prepare=prepare)
        self.coroutines = Coroutines(loop, prepare)
        self._gate = asyncio.Semaphore(concurrency)

    def __call__(self, call: HostCall) -> Future[Any]:
        """Starts to answer a host call."""
        number, began = next(self._numbers), time.monotonic()
        spending = Spending(self.ledger)
        run_id, function = self._journal.run_id, call.function
        self._journal.record(CallStarted(run_id=run_id, call=number, cell=call.cell, function=function))

        def finished(done: Future[Any]) -> None:
            seconds, error = time.monotonic() - began, _error_text(done)
            self._journal.record(
                CallFinished(
                    run_id=run_id, call=number, function=function, seconds=seconds, error=error, usage=spending.usage
                )
            )

        try:
            future = self.functions[function].answer(spending, call.args, call.kwargs)
        except Exception as error:
            future = failed(error)
        future.add_done_callback(finished)
        return future

    def close(self) -> None:
        """Abandons what is in flight and ends the threads."""
        for crew in (self._pool, self._lane, self._side_by_side):
            crew.close()
        self.coroutines.close()

    def add(self, name: str, template: Callable[..., Any], doc: str, answer: Answer) -> None:
        """Offers a function to generated code; its parameters are the template's."""
        parameters = list(inspect.signature(template, eval_str=True).parameters.values())
        self.functions[name] = Function(name, inspect.Signature(parameters), doc, answer)

    def add_tool(self, tool: HostTool) -> None:
        """Offers a tool of the user's."""
        self.functions[tool.name] = Function(tool.name, tool.signature, tool.doc, partial(self._answer_tool, tool))

    def in_pool(self, run: Callable[[], Any]) -> Future[Any]:
        """Runs a sub-call on a thread."""
        return self._pool.submit(run, self._context, label="the sub-call")

    def on_loop(self, run: Callable[[], Any]) -> Future[Any]:
        """Awaits a sub-call on the caller's loop, as many at a time as on threads."""

        async def gated() -> Any:
            async with self._gate:
                return await run()

        return self.coroutines.submit(gated(), self._context)

    def call_tool(self, spending: Spending, tool: HostTool, arguments: dict[str, Any]) -> Future[Any]:
        """Runs a tool where tools of its kind run."""
        if tool.is_async:
            return self.coroutines.submit(self._await_tool(spending, tool, arguments), self._context)
        crew = self._side_by_side if tool.is_concurrent else self._lane
        run = partial(self._run_tool, spending, tool, arguments)
        return crew.submit(run, self._context, label=f"the tool {tool.name}")

    def _answer_tool(
        self, tool: HostTool, spending: Spending, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]:
        return self.call_tool(spending, tool, tool.bind(args, kwargs))

    def _run_tool(self, spending: Spending, tool: HostTool, arguments: dict[str, Any]) -> Any:
        # A sync function may still return a coroutine (a lambda around an async one); dspy then runs it here.
        with spending.measured("tool"), dspy.context(allow_tool_async_sync_conversion=True):
            return tool.tool(**arguments)

    async def _await_tool(self, spending: Spending, tool: HostTool, arguments: dict[str, Any]) -> Any:
        limit = asyncio.timeout(self._tool_seconds)
        try:
            with spending.measured("tool"):
                async with limit:
                    return await tool.tool.acall(**arguments)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"the tool {tool.name} took longer than {self._tool_seconds:g} s and was cancelled"
            ) from None


def failed(error: BaseException) -> Future[Any]:
    """A future that has already failed."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _error_text(done: Future[Any]) -> str | None:
    if done.cancelled():
        return "cancelled"
    error = done.exception()
    if error is not None:
        return str(error) if isinstance(error, SubcallError) else without_secrets(describe(error))
    result = done.result()
    failures = [item for item in result if isinstance(item, SubcallError)] if isinstance(result, list) else []
    return f"{len(failures)} of {len(result)} failed, first with {failures[0]}" if failures else None
