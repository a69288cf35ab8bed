"""What generated code may call on the host: sub-LMs, children, tools and sub-agents, each charged and recorded."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import time
from collections.abc import Callable, Collection, Generator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import dspy

from rlm_module.errors import RecordedError, SubcallError, describe
from rlm_module.events import CallFinished, CallStarted, Role
from rlm_module.host.answers import answer_text, error_text, has_failed, without_keys
from rlm_module.host.tools import HostTool, signature_text
from rlm_module.lms.accounts import Account
from rlm_module.lms.books import Spending
from rlm_module.prompting.previews import one_line
from rlm_module.prompting.shown import without_secrets
from rlm_module.sandbox.base import HostCall, HostFunction
from rlm_module.sandbox.codec import CodecError, encode
from rlm_module.sandbox.host_calls import to_plain
from rlm_module.tree import Node, Tree

_SHOWN_ARGUMENTS = 200


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A host call that is being answered.

    Args:
        number: Its number in the run tree.
        cell: The cell that made it.
        key: Digest of its function and arguments.
        spending: What it has used of LMs.
        is_again: Whether an earlier part of the run has begun it.
    """

    number: int
    cell: int
    key: str
    spending: Spending
    is_again: bool = False


Answer: TypeAlias = "Callable[[OpenCall, tuple[Any, ...], dict[str, Any]], Future[Any]]"


@dataclass(frozen=True, slots=True)
class Function:
    """A host function: its name and parameters, what it does, and how a call of it is answered without blocking.

    Args:
        is_ahead: Whether a call may be started before the program asks for it, since it has no side effects that
            another one could see.
        is_remade: Whether a resumed run makes its calls again rather than answering them out of the record: a batch,
            since its items are on record, or what builds something here.
        is_typed: Whether the sandbox describes a signature's types to it.
    """

    name: str
    signature: inspect.Signature
    doc: str
    answer: Answer
    is_ahead: bool = False
    is_remade: bool = False
    is_typed: bool = False

    @property
    def host_function(self) -> HostFunction:
        """The same for a session."""
        shown = signature_text(self.signature)
        return HostFunction(self.name, shown, self.doc, ahead=self.is_ahead, typed=self.is_typed)


class Calls:
    """Answers the host calls of one RLM; the `Dispatch` of its session. What is on record is answered from there.

    Sub-LM calls run side by side on threads of their own. Sync tools run one at a time on one thread unless they are
    marked as concurrent; what is async runs on the caller's loop. All see the context of the thread that made the tree.

    Args:
        tree: Whose threads, ledger and journal to use.
        node: The RLM.
        taken: Names of the user's; a function of ours that has one of them is left out.
    """

    def __init__(self, tree: Tree, node: Node, taken: Collection[str] = frozenset()) -> None:
        self.tree = tree
        self.node = node
        self._taken = taken
        self.functions: dict[str, Function] = {}
        self.signatures: dict[str, inspect.Signature] = {}

    def __call__(self, call: HostCall) -> Future[Any]:
        """Starts to answer a host call."""
        function = self.functions[call.function]
        key = digest(call.function, call.args, call.kwargs)
        shown = ", ".join([*map(one_line, call.args), *(f"{name}={one_line(v)}" for name, v in call.kwargs.items())])

        def run(opened: OpenCall) -> Future[Any]:
            return function.answer(opened, call.args, call.kwargs)

        return self.begin(call.function, call.cell, key, run, shown=shown, is_remade=function.is_remade)

    def begin(
        self,
        function: str,
        cell: int,
        key: str,
        run: Callable[[OpenCall], Future[Any]],
        *,
        shown: str = "",
        batch: OpenCall | None = None,
        is_remade: bool = False,
    ) -> Future[Any]:
        """Answers a call out of the record, or records it and makes it.

        Args:
            function: What is called.
            cell: Where.
            key: Digest of function and arguments.
            run: Makes it.
            shown: Its arguments for a reader.
            batch: The call that it is an item of.
            is_remade: See `Function`.
        """
        known = self.tree.recording.answer(self.node.number, cell, function, key)
        if known is not None:
            return failed(known) if isinstance(known, Exception) else done(known[0])
        began = time.monotonic()
        opened = self._opened(cell, function, key, batch.spending if batch else self.node.spending)
        journal = self.tree.journal
        journal.record(
            CallStarted(
                run_id=journal.run_id,
                node=self.node.number,
                call=opened.number,
                cell=cell,
                function=function,
                key=key,
                batch=batch.number if batch else None,
                arguments=shown[:_SHOWN_ARGUMENTS],
            )
        )
        try:
            future = run(opened)
        except Exception as error:
            future = failed(error)
        future.add_done_callback(partial(self._record_end, opened, function, began, is_remade))
        return future

    def _record_end(self, opened: OpenCall, function: str, began: float, is_remade: bool, settled: Future[Any]) -> None:
        # What fails once the run is ending may do so for that alone, and a resumed run is to make it again.
        is_final = not self.tree.ledger.stopped.is_set() or not has_failed(settled)
        journal = self.tree.journal
        journal.record(
            CallFinished(
                run_id=journal.run_id,
                node=self.node.number,
                call=opened.number,
                function=function,
                seconds=time.monotonic() - began,
                error=error_text(settled),
                usage=opened.spending.usage,
                answer=answer_text(settled) if is_final and not is_remade and journal.is_stored else None,
            )
        )

    def _opened(self, cell: int, function: str, key: str, parent: Spending) -> OpenCall:
        """A call that is made now, under its old number if it was cut off."""
        recording = self.tree.recording
        number, spending = recording.unanswered(self.node.number, cell, function, key), Spending(parent)
        if number is None:
            return OpenCall(self.tree.next_call(), cell, key, spending)
        spending.recall(recording.spent(number))
        return OpenCall(number, cell, key, spending, is_again=True)

    def add(
        self,
        name: str,
        template: Callable[..., Any],
        answer: Answer,
        *,
        is_ahead: bool = False,
        is_remade: bool = False,
        is_typed: bool = False,
    ) -> None:
        """Offers a function to generated code; its parameters and documentation are the template's."""
        if name in self._taken:
            return
        parameters = list(inspect.signature(template, eval_str=True).parameters.values())
        signature, doc = inspect.Signature(parameters), inspect.getdoc(template) or ""
        self._offer(Function(name, signature, doc, answer, is_ahead, is_remade, is_typed))

    def add_tool(self, tool: HostTool) -> None:
        """Offers a tool of the user's."""
        answer = partial(self._answer_tool, tool)
        self._offer(Function(tool.name, tool.signature, tool.doc, answer, tool.is_concurrent))

    def _offer(self, function: Function) -> None:
        self.functions[function.name] = function
        self.signatures[function.name] = function.signature

    def account(self, opened: OpenCall, role: Role, *, counts: bool = False, instead: Any = None) -> Account:
        """The account that a call's LM calls are charged to; see `Account`."""
        return self.tree.account(
            role,
            self.node,
            call=opened.number,
            cell=opened.cell,
            spending=opened.spending,
            counts=counts,
            instead=instead,
        )

    def take_allowance(self, opened: OpenCall) -> bool:
        """Takes a sub-call out of what the RLM may make, unless the call has made it before the run was resumed.

        Returns:
            Whether one was taken.

        Raises:
            SubcallError: If there is none left.
        """
        has_made_it = self.tree.recording.replies.has_for(self.node.number, opened.number)
        if not has_made_it and not self.node.allowance.reserve():
            raise _used_up(self.node)
        return not has_made_it

    def check_allowance(self, opened: OpenCall) -> None:
        """Whether there is one left for a call that is begun now.

        Raises:
            SubcallError: If not.
        """
        if not opened.is_again and not self.node.allowance.left:
            raise _used_up(self.node)

    def in_pool(self, run: Callable[[], Any], *, is_taken: bool = False) -> Future[Any]:
        """Runs a sub-call on a thread. If it is cancelled before its turn, what was taken for it is given back."""
        began = self.tree.lm_calls.submit(run, self.tree.context, label="the sub-call")
        if is_taken:
            began.add_done_callback(lambda ended: self.node.allowance.give_back() if ended.cancelled() else None)
        return began

    def on_loop(self, run: Callable[[], Any], *, is_taken: bool = False) -> Future[Any]:
        """Awaits a sub-call on the caller's loop, as many at a time as on threads. The same holds of what was taken."""

        async def gated() -> Any:
            had_turn = False
            try:
                async with self.tree.gate:
                    had_turn = True
                    return await run()
            finally:
                if is_taken and not had_turn:
                    self.node.allowance.give_back()

        return self.tree.coroutines.submit(gated(), self.tree.context)

    def call_tool(self, opened: OpenCall, tool: HostTool, arguments: dict[str, Any]) -> Future[Any]:
        """Runs a tool where tools of its kind run."""
        tree = self.tree
        if tool.is_async:
            return tree.coroutines.submit(self._await_tool(opened, tool, arguments), tree.context)
        crew = tree.concurrent_tools if tool.is_concurrent else tree.tools
        run = partial(self._run_tool, opened, tool, arguments)
        return crew.submit(run, tree.context, label=f"the tool {tool.name}")

    def call_nested(self, agent: OpenCall, tool: HostTool, arguments: dict[str, Any]) -> Future[Any]:
        """Runs a tool for a sub-agent, as an item of its call; what is on record is not run again."""
        return self.begin(
            tool.name,
            agent.cell,
            digest(tool.name, (), arguments),
            lambda opened: self.call_tool(opened, tool, arguments),
            shown=", ".join(f"{name}={one_line(value)}" for name, value in arguments.items()),
            batch=agent,
        )

    def _answer_tool(
        self, tool: HostTool, opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]:
        return self.call_tool(opened, tool, tool.bind(args, kwargs))

    def _run_tool(self, opened: OpenCall, tool: HostTool, arguments: dict[str, Any]) -> Any:
        # A sync function may still return a coroutine (a lambda around an async one); dspy then runs it here.
        with self.account(opened, "tool").scope(), dspy.context(allow_tool_async_sync_conversion=True), _blotted():
            return without_keys(tool.tool(**arguments))

    async def _await_tool(self, opened: OpenCall, tool: HostTool, arguments: dict[str, Any]) -> Any:
        limit = asyncio.timeout(self.tree.tool_seconds)
        try:
            with self.account(opened, "tool").scope():
                async with limit:
                    with _blotted():
                        return without_keys(await tool.tool.acall(**arguments))
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"the tool {tool.name} took longer than {self.tree.tool_seconds:g} s and was cancelled"
            ) from None


@contextmanager
def _blotted() -> Generator[None]:
    """What a tool raises reaches generated code without the credentials that its text may repeat."""
    try:
        yield
    except SubcallError:
        raise
    except Exception as error:
        told = describe(error)
        if (clean := without_secrets(told)) != told:
            raise RecordedError(clean) from None
        raise


def digest(function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """What equal calls share."""
    try:
        request = encode([function, list(args), dict(kwargs)], to_plain)
    except CodecError:  # out of an interpreter that shares the host's memory
        request = repr((function, args, kwargs)).encode()
    return hashlib.sha256(request).hexdigest()


def done(value: Any) -> Future[Any]:
    """A future that has its result."""
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def failed(error: BaseException) -> Future[Any]:
    """A future that has already failed."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _used_up(node: Node) -> SubcallError:
    return SubcallError(
        "budget", f"all {node.allowance.limit:,} sub-calls of this run are used up; go on with code alone"
    )
