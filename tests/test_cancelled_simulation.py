"""Calls that are cancelled wherever they are: a tree stays within its limits, nothing stays reserved, books agree."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module import Budget
from rlm_module.errors import LimitReached
from rlm_module.events import LMCalled, Role, Usage
from rlm_module.journal import Journal
from rlm_module.lms.books import Spending
from rlm_module.lms.ledger import Ledger, Need
from rlm_module.tree import Node, Tree
from tests.test_tree_simulation import assert_equal, assert_within

_ROLES: tuple[Role, ...] = ("root", "sub", "child", "tool")
_LONGEST_REPLY = 100
_ALL = 12  # turns of the event loop, after which all has happened that can
_PRICES = {"_call": (2.0, 30.0)}

Step: TypeAlias = "tuple[Any, ...]"
"""`("ask", node, role, words)`, `("answer", call)`, `("fail", call)`, `("cancel", call)` or `("stop",)`; and at the end
of each, how often the event loop turns before the next one.
"""


@dataclass(frozen=True)
class Play:
    """What happens in a tree, one thing after another.

    Args:
        allowances: For each node but the root its parent and its own limit of sub-calls.
        max_calls: That of the tree.
        budget: What the tree may use.
        shared: The budget above it.
        kept: Tokens that are kept for the answer.
        steps: A node asks; a call under way is answered, or fails; somebody who asked is cancelled; the run ends.
        seed: Decides who uses what.
    """

    allowances: tuple[tuple[int, int], ...]
    max_calls: int
    budget: Budget
    shared: Budget
    kept: int
    steps: tuple[Step, ...]
    seed: int


@st.composite
def plays(draw: st.DrawFn) -> Play:
    allowances = tuple((draw(st.integers(0, n)), draw(st.integers(0, 6))) for n in range(draw(st.integers(0, 5))))
    length = draw(st.integers(1, 60))
    turns = st.just(_ALL) | st.integers(0, 4)
    node, role, which = st.integers(0, len(allowances)), st.sampled_from(_ROLES), st.integers(0, 63)
    ask = st.tuples(st.just("ask"), node, role, st.integers(1, 200), turns)
    other = st.tuples(st.sampled_from(("answer", "fail", "cancel")), which, turns)
    budget, shared = (
        Budget(
            cost_usd=draw(st.none() | st.floats(0.002, 0.05)),
            tokens=draw(st.none() | st.integers(100, 4_000)),
            prices=_PRICES,
            root_tokens=_LONGEST_REPLY,
            sub_tokens=_LONGEST_REPLY,
        )
        for _ in range(2)
    )
    steps: list[Step] = draw(st.lists(ask | other, min_size=length, max_size=length))
    if draw(st.booleans()):
        steps.insert(draw(st.integers(length // 2, length)), ("stop", draw(turns)))
    return Play(
        allowances=allowances,
        max_calls=draw(st.integers(0, 8)),
        budget=budget,
        shared=shared,
        kept=draw(st.integers(0, 500)),
        steps=tuple(steps),
        seed=draw(st.integers(0, 2**32)),
    )


class Played:
    """Plays it on an event loop of its own, where nothing happens that no step brings about."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._chance = random.Random(play.seed)
        self.outer = Ledger(0, play.shared)
        self.ledger = Ledger(play.max_calls, play.budget, self.outer)
        self.ledger.keep(Need(play.kept))
        self.tree = Tree(Journal("1" * 32), self.ledger, concurrency=64, tool_seconds=60)
        self.nodes = [Node(self.ledger.calls)]
        for call, (parent, limit) in enumerate(play.allowances):
            above = self.nodes[parent]
            self.nodes.append(self.tree.child(above, call, "", Spending(above.spending), Future(), limit))
        self.counted: list[Node] = []
        self.late = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way: list[asyncio.Future[list[str]]] = []
        asyncio.run(self._run())

    @property
    def called(self) -> list[LMCalled]:
        return [event for event in self.tree.journal.events if isinstance(event, LMCalled)]

    async def _run(self) -> None:
        for step in self._play.steps:
            self._do(step[:-1])
            await self._turn(step[-1])
        await self._turn(_ALL)
        while self._under_way:
            self._do(("answer", self._chance.randrange(64)))
            await self._turn(_ALL)
        assert all(task.done() for task in self._tasks)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.tree.close()

    def _do(self, step: Step) -> None:
        match step:
            case ("ask", number, role, words):
                self._tasks.append(asyncio.ensure_future(self._ask(self.nodes[number], role, words)))
            case ("stop",):
                self.ledger.stop()
            case ("cancel", which) if self._tasks:
                self._tasks[which % len(self._tasks)].cancel()
            case ("answer" | "fail" as how, which) if self._under_way:
                reply = self._under_way[which % len(self._under_way)]
                if reply.done():  # it has not been told yet
                    return
                if how == "answer":
                    reply.set_result(["word " * self._chance.randint(1, _LONGEST_REPLY // 4)])
                else:
                    reply.set_exception(ValueError("down"))
            case _:
                pass

    async def _turn(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)
        for ledger in (self.ledger, self.outer):
            spent, held = ledger.report().total, ledger.own.held
            assert_within(ledger.limits, spent + Usage(prompt_tokens=sum(hold.tokens for hold in held)))
            assert_within(ledger.limits, spent + Usage(cost_usd=sum(hold.pico for hold in held) / 1e12))

    async def _ask(self, node: Node, role: Role, words: int) -> None:
        account = self.tree.account(role, node, spending=Spending(node.spending), counts=role in ("sub", "child"))
        is_late = self.ledger.stopped.is_set()

        async def _call(prompt: str, **_: Any) -> list[str]:
            if account.allowance is not None:
                self.counted.append(node)
            self.late += is_late
            reply: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
            self._under_way.append(reply)
            try:
                return await reply
            finally:
                self._under_way.remove(reply)

        try:
            with account.scope():
                await account.lm(_call).acall("word " * words)
        except (LimitReached, ValueError):
            pass


@settings(max_examples=150)
@given(plays())
def test_whatever_is_cancelled_limits_hold_and_nothing_stays_reserved(play: Play) -> None:
    played = Played(play)
    ledger, report = played.ledger, played.ledger.report()
    assert ledger.own.held == played.outer.own.held == []
    assert played.late == 0
    assert report.in_flight == played.outer.report().in_flight == 0
    for part in (report.by_role, report.by_model, report.by_depth):
        assert_equal(report.total, sum(part.values(), Usage()))
    assert_equal(report.total, sum((event.usage for event in played.called), Usage()))
    assert_equal(report.total, played.nodes[0].spending.usage)
    assert_equal(report.total, played.outer.report().total)
    if play.budget.tokens is not None and play.shared.tokens is None:
        assert ledger.tokens_left == play.budget.tokens - report.total.tokens
    for node in played.nodes:
        assert sum(_is_below(other, node, played.nodes) for other in played.counted) <= node.allowance.limit


def _is_below(node: Node, above: Node, nodes: list[Node]) -> bool:
    while node is not above and node.parent is not None:
        node = nodes[node.parent]
    return node is above
