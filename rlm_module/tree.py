"""What the RLMs of one run tree share: its ledger and journal, its threads, and the time it has."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rlm_module.events import Role
from rlm_module.host.workers import Coroutines, Crew
from rlm_module.journal import Journal
from rlm_module.lms.accounts import Account
from rlm_module.lms.allowance import Allowance
from rlm_module.lms.books import Conversations, Spending, Twins
from rlm_module.lms.ledger import Ledger
from rlm_module.recording import Recording
from rlm_module.waiting import Deadline

T = TypeVar("T")

_CLOSE_SECONDS = 2.0
SUB_CALL_SECONDS = 1800.0
"""Longest time that a sub-call may take: an LM has limits of its own, but any callable may stand in for one."""


@dataclass(frozen=True, slots=True)
class Node:
    """An RLM's place in the tree.

    Args:
        number: 0 for the root, children in the order in which they began.
        depth: 0 for the root.
        parent: The node whose call opened it.
        call: The number of that call.
        key: The digest of that call.
        allowance: Sub-calls that it and all below it may make.
        spending: What it has used with all below it.
        stop: Done when nobody waits for it any more; None for the root, which its caller stops.
    """

    allowance: Allowance
    number: int = 0
    depth: int = 0
    parent: int | None = None
    call: int | None = None
    key: str = ""
    spending: Spending = field(default_factory=Spending)
    stop: Future[None] | None = None

    @property
    def turn_role(self) -> Role:
        """What its turns are booked as."""
        return "child" if self.depth else "root"


class Tree:
    """What the RLMs of one run tree share.

    Sub-LM calls and turns of children run side by side on `lm_calls`, whose size is the tree's limit of calls in
    flight. Whole children run on threads of their own, as many at a time and depth, since they wait for calls of
    theirs: a parent never takes the place that its children need.

    Args:
        journal: Where the tree is recorded.
        ledger: What it may spend.
        deadline: When its time is over.
        concurrency: Sub-calls, concurrent tools, or children of a depth, in flight.
        tool_seconds: Longest time that a tool may take.
        loop: The caller's event loop, where the caller is async.
        prepare: Runs first on each thread.
        recording: What an earlier part of the run has done.
    """

    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        deadline: Deadline | None = None,
        *,
        concurrency: int,
        tool_seconds: float,
        loop: asyncio.AbstractEventLoop | None = None,
        prepare: Callable[[], None] | None = None,
        recording: Recording | None = None,
    ) -> None:
        self.journal = journal
        self.ledger = ledger
        self.deadline = deadline or Deadline()
        self.recording = recording or Recording(())
        self.context = contextvars.copy_context()
        self.tool_seconds = tool_seconds
        self.lm_calls = Crew("rlm-sub-calls", concurrency, limit=SUB_CALL_SECONDS, prepare=prepare)
        self.tools = Crew("rlm-tools", 1, limit=tool_seconds, prepare=prepare)
        self.concurrent_tools = Crew("rlm-tools-concurrent", concurrency, limit=tool_seconds, prepare=prepare)
        self.coroutines = Coroutines(loop, prepare)
        self.gate = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self.prepare = prepare
        self._twins = Twins()
        self._conversations = Conversations()
        self._children: dict[int, Crew] = {}
        self._running: set[Future[Any]] = set()
        self._calls = itertools.count(self.recording.last_call + 1)
        self._nodes = itertools.count(self.recording.last_node + 1)
        self._lock = threading.Lock()

    def next_call(self) -> int:
        """The number of the next host call."""
        with self._lock:
            return next(self._calls)

    def child(
        self, parent: Node, call: int, key: str, spending: Spending, stop: Future[None], max_calls: int | None = None
    ) -> Node:
        """The place of a child that a call opens; one that was cut off gets its old place, and with it its record.

        Args:
            parent: Whose call it is.
            call: The call's number.
            key: Its digest.
            spending: Its spending.
            stop: Done when nobody waits for the child any more.
            max_calls: Sub-calls that the child may make of those that are left.
        """
        with self._lock:
            known = self.recording.child(call)
            number = next(self._nodes) if known is None else known
        given = parent.allowance
        allowance = given if max_calls is None else Allowance(min(max_calls, given.left), given)
        return Node(allowance, number, parent.depth + 1, parent.number, call, key, spending, stop)

    def run_child(self, depth: int, run: Callable[[], T]) -> Future[T]:
        """Runs a child on a thread of its depth."""
        with self._lock:
            if depth not in self._children:
                self._children[depth] = Crew(f"rlm-children-{depth}", self._concurrency, prepare=self.prepare)
            running = self._children[depth].submit(run, self.context)
            self._running.add(running)
        running.add_done_callback(self._running.discard)
        return running

    def account(
        self,
        role: Role,
        node: Node,
        *,
        call: int | None = None,
        cell: int = 0,
        spending: Spending | None = None,
        counts: bool = False,
        instead: Any = None,
    ) -> Account:
        """An account for LM calls of a node; see `Account`."""
        return Account(
            ledger=self.ledger,
            journal=self.journal,
            twins=self._twins,
            conversations=self._conversations,
            role=role,
            node=node.number,
            depth=node.depth,
            call=call,
            cell=cell,
            spending=spending or Spending(node.spending),
            allowance=node.allowance if counts else None,
            instead=instead,
            replies=self.recording.replies,
        )

    def turn_account(self, node: Node, lm: Any) -> Account:
        """The account for a turn of a node, asked of this LM (None: the predictor's own); a child's counts."""
        return self.account(node.turn_role, node, counts=node.depth > 0, instead=lm)

    def close(self) -> None:
        """Abandons what is in flight and ends the threads."""
        self.ledger.close()
        for crew in (self.lm_calls, self.tools, self.concurrent_tools, *self._children.values()):
            crew.close()
        self.coroutines.close()
        wait(self._running.copy(), _CLOSE_SECONDS)  # each has a sandbox of its own to end
