"""Whatever LMs cost, and in whatever order they answer or fail: a tree stays within its budget, and its books agree."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import dspy
import pytest
from dspy.lm15 import Usage as Used
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module import RLM, Budget
from rlm_module.errors import LimitReached
from rlm_module.events import LMCalled, Role, Usage
from rlm_module.journal import Journal
from rlm_module.lms.accounts import Spending
from rlm_module.lms.ledger import Ledger
from rlm_module.lms.prices import count_tokens
from rlm_module.tree import Node, Tree
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, response, said, turn
from tests.stage import Stage, StagedLedger

_MODELS = ("sim/small", "sim/large", "_call")
_ROLES: tuple[Role, ...] = ("root", "sub", "child", "tool")
_LONGEST_REPLY = 100


@dataclass(frozen=True)
class Case:
    """A tree and what happens in it.

    Args:
        parents: The parent of each node but the root.
        workers: For each thread the calls that it makes: node, role, model, and length of the prompt in words.
        budget: What they may use.
        failing: How many calls of a hundred fail.
        seed: Decides who uses what, who fails, and who answers first.
    """

    parents: tuple[int, ...]
    workers: tuple[tuple[tuple[int, Role, str, int], ...], ...]
    budget: Budget
    failing: int
    seed: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    parents = tuple(draw(st.integers(0, n)) for n in range(draw(st.integers(0, 8))))
    call = st.tuples(
        st.integers(0, len(parents)), st.sampled_from(_ROLES), st.sampled_from(_MODELS), st.integers(1, 200)
    )
    workers = draw(st.lists(st.lists(call, min_size=1, max_size=3).map(tuple), min_size=1, max_size=64))
    price = st.tuples(st.floats(0, 50), st.floats(0, 50))
    limits: dict[str, Any] = draw(
        st.fixed_dictionaries({}, optional={"tokens": st.integers(1, 20_000), "cost_usd": st.floats(1e-6, 0.2)}).filter(
            bool
        )
    )
    prices = {name: draw(price) for name in _MODELS}
    budget = Budget(**limits, prices=prices, root_tokens=_LONGEST_REPLY, sub_tokens=_LONGEST_REPLY)
    return Case(parents, tuple(workers), budget, draw(st.integers(0, 50)), draw(st.integers(0, 2**32)))


class Simulation:
    """Plays a case on real threads, LMs and books.

    Args:
        case: What happens.
        stage: Where it is played together with others.
        shared: The ledger that it shares with them.
    """

    def __init__(self, case: Case, stage: Stage | None = None, shared: Ledger | None = None) -> None:
        self.case = case
        self.stage = stage or Stage(case.seed)
        self.asked = 0
        self._chance = random.Random(case.seed + 1)
        self.ledger = StagedLedger(1_000, case.budget, shared)
        self.ledger.stage = self.stage
        self.journal = Journal("1" * 32)
        self.tree = Tree(self.journal, self.ledger, concurrency=64, tool_seconds=60)
        self.nodes = [Node(self.ledger.calls)]
        for call, parent in enumerate(case.parents):
            above = self.nodes[parent]
            self.nodes.append(self.tree.child(above, call, str(call), Spending(above.spending), Future()))
        self.lms: dict[str, Any] = {
            name: ScriptedLM(partial(self._answer, name), model=name) for name in _MODELS if "/" in name
        }
        self.lms["_call"] = self._call

    def play(self) -> None:
        self.stage.play(self.parts)
        self.tree.close()

    @property
    def parts(self) -> list[Callable[[], None]]:
        """What its threads do."""
        return [partial(self._part, calls) for calls in self.case.workers]

    def _part(self, calls: Iterable[tuple[int, Role, str, int]]) -> None:
        self.tree.context.copy().run(self._work, calls)

    def _work(self, calls: Iterable[tuple[int, Role, str, int]]) -> None:
        for number, role, model, words in calls:
            node = self.nodes[number]
            account = self.tree.account(role, node, spending=Spending(node.spending), counts=role == "child")
            try:
                with account.scope():
                    account.lm(self.lms[model])("word " * words)
            except (LimitReached, dspy.LMError, ValueError, CancelledError):
                pass

    def _answer(self, model: str, request: Any) -> Any:
        prompt = said(request)
        with self.stage.inside():
            self.asked += 1
            if self._chance.randrange(100) < self.case.failing:
                return dspy.LMServerError(model=model, message="down")
            used = Used(
                input_tokens=self._chance.randint(1, count_tokens(prompt)),
                output_tokens=self._chance.randint(0, _LONGEST_REPLY),
            )
            return response("ok", usage=used)

    def _call(self, prompt: str, **_: Any) -> list[str]:
        with self.stage.inside():
            self.asked += 1
            if self._chance.randrange(100) < self.case.failing:
                raise ValueError("down")
            return ["word " * self._chance.randint(1, _LONGEST_REPLY // 4)]


@settings(max_examples=150)
@given(cases())
def test_a_tree_stays_within_its_budget_and_its_books_agree(case: Case) -> None:
    simulation = Simulation(case)
    simulation.play()
    ledger, total = simulation.ledger, simulation.ledger.report().total
    assert not simulation.stage.is_stuck
    assert_within(case.budget, total)
    events = _called(simulation.journal.events)
    assert len(events) == simulation.asked
    assert_equal(total, _sum(event.usage for event in events))
    assert_equal(total, simulation.nodes[0].spending.usage)
    for parts in (ledger.report().by_role, ledger.report().by_model, ledger.report().by_depth):
        assert_equal(total, _sum(parts.values()))
    # Nothing is held, and nobody waits: what is left is what was not spent.
    if case.budget.tokens is not None:
        assert ledger.tokens_left == case.budget.tokens - total.tokens
    if case.budget.cost_usd is not None:
        assert total.cost_usd is not None
        assert ledger.cost_left == pytest.approx(case.budget.cost_usd - total.cost_usd, abs=1e-9)


def test_sixty_four_calls_are_in_flight_at_once() -> None:
    calls = tuple(((0, "sub", "sim/small", 1),) for _ in range(64))
    simulation = Simulation(Case((), calls, Budget(tokens=1_000_000), 0, 1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    simulation.play()
    assert (simulation.stage.peak, simulation.asked, simulation.stage.is_stuck) == (64, 64, False)


def test_where_only_one_call_fits_they_are_made_one_after_another() -> None:
    calls = tuple(((0, "sub", "sim/small", 1),) for _ in range(8))
    budget = Budget(tokens=1_000, sub_tokens=900)
    simulation = Simulation(Case((), calls, budget, 100, 1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    simulation.play()
    assert (simulation.stage.peak, simulation.asked) == (1, 8)


def _priced(budget: Budget | None, **options: Any) -> Any:
    """A run with turns, sub-calls, a batch, a tool that asks, and a child."""

    def tool() -> str:
        return dspy.settings.lm("from the tool")[0]

    cells = (
        "x = llm_query('one')\ntool()",
        "y = llm_query_batched(['two', 'three', 'fails'])\nz = rlm_query('child?', 'abc')",
        "SUBMIT(a=z)",
    )

    def answer(request: Any) -> Any:
        text = str(request)
        if "from the tool" in said(request) or said(request) in ("one", "two", "three"):
            return response("ok", usage=Used(input_tokens=7, output_tokens=3))
        if said(request) == "fails":
            return dspy.LMServerError(model="m", message="down")
        if "Answer the query from the context alone" in text:
            return response(turn("SUBMIT(answer=context)"), usage=Used(input_tokens=11, output_tokens=5))
        return response(
            turn(cells[sum(m.role == "assistant" for m in request.messages)]),
            usage=Used(input_tokens=13, output_tokens=2),
        )

    rlm = RLM("q -> a", tools=[tool], max_depth=2, budget=budget, interpreter_factory=FakeInterpreter, **options)
    with dspy.context(lm=ScriptedLM(answer)), dspy.track_usage() as tracker:
        return rlm(q="1"), tracker.get_total_tokens()["scripted/model"]


@pytest.mark.parametrize("budget", [None, Budget(cost_usd=5.0, tokens=500_000, prices={"scripted/model": (1.0, 10.0)})])
def test_a_run_s_events_its_ledger_and_dspy_s_tracker_agree(budget: Budget | None) -> None:
    prediction, tracked = _priced(budget)
    assert prediction.a == "abc"
    total = prediction.usage.total
    assert_equal(total, _sum(event.usage for event in _called(prediction.run.events)))
    assert (total.prompt_tokens, total.completion_tokens) == (tracked["prompt_tokens"], tracked["completion_tokens"])
    assert (total.prompt_tokens, total.completion_tokens) == (3 * 13 + 4 * 7 + 11, 3 * 2 + 4 * 3 + 5)
    assert {role: usage.calls for role, usage in prediction.usage.by_role.items()} == {
        "root": 3,
        "sub": 3,
        "tool": 1,
        "child": 1,
    }
    assert prediction.cost_usd == (None if budget is None else pytest.approx((78 * 1.0 + 23 * 10.0) / 1e6))


def _called(events: Iterable[Any]) -> list[LMCalled]:
    return [event for event in events if isinstance(event, LMCalled)]


def _sum(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())


def assert_equal(one: Usage, other: Usage) -> None:
    assert (one.calls, one.cached_calls, one.prompt_tokens, one.completion_tokens) == (
        other.calls,
        other.cached_calls,
        other.prompt_tokens,
        other.completion_tokens,
    )
    assert one.cost_usd == (None if other.cost_usd is None else pytest.approx(other.cost_usd))


def assert_within(budget: Budget, total: Usage) -> None:
    assert budget.tokens is None or total.tokens <= budget.tokens
    if budget.cost_usd is not None:
        assert total.cost_usd is not None
        assert total.cost_usd <= budget.cost_usd + 1e-12
