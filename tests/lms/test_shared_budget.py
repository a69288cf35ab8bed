"""One budget over many runs and other calls: who pays, what is left, and how each ends once there is nothing left."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from dspy.lm15 import Usage as Tokens

from rlm_module import RLM, Budget, FatalError, InputError, LimitReached, capture_runs, spending
from rlm_module.events import RunFinished, Usage
from rlm_module.lms.ledger import Ledger, Need
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import Reply, ScriptedLM, fields, response, said, turn

PRICES = {"scripted/model": (1_000.0, 10_000.0)}
"""A call of a `ScriptedLM` uses 10 tokens and returns 5: six cents."""
_CALL = 0.06


def _play(request: Request) -> Reply:
    """A turn that asks a sub-LM, then one that submits; a predictor's fields where those are asked for."""
    system = str(request.system)
    if "[[ ## code ## ]]" in system:
        return turn("x = llm_query('ask')" if "[Turn 1 of" in said(request) else "SUBMIT(a=x)")
    return fields(a="drawn up", b="said") if "[[ ##" in system else "re"


def _rlm(**options: Any) -> RLM:
    return RLM("q -> a", interpreter_factory=FakeInterpreter, **options)


def _sum(*predictions: Any) -> Usage:
    return sum((prediction.usage.total for prediction in predictions), Usage())


def test_runs_one_after_another_pay_into_one_ledger() -> None:
    with dspy.context(lm=ScriptedLM(_play)), spending(Budget(tokens=10_000_000)) as spent:
        one, two = _rlm()(q="1"), _rlm(budget=Budget(tokens=500_000))(q="2")
    assert spent.usage.total == _sum(one, two)
    assert {role: usage.calls for role, usage in spent.usage.by_role.items()} == {"root": 4, "sub": 2}
    assert spent.left.tokens == 10_000_000 - 6 * 15
    assert (spent.left.cost_usd, spent.left.seconds) == (None, None)


def test_money_is_counted_at_the_prices_of_the_run_and_else_at_the_shared_ones() -> None:
    dear = Budget(prices={"scripted/model": (2_000.0, 20_000.0)})
    with dspy.context(lm=ScriptedLM(_play)), spending(Budget(cost_usd=5_000.0, prices=PRICES)) as spent:
        one, two = _rlm()(q="1"), _rlm(budget=dear)(q="2")
    assert (one.cost_usd, two.cost_usd) == (pytest.approx(3 * _CALL), pytest.approx(6 * _CALL))
    assert spent.usage.total.cost_usd == pytest.approx(9 * _CALL)
    assert spent.left.cost_usd == pytest.approx(5_000 - 9 * _CALL)


def test_replies_are_capped_where_only_the_shared_budget_limits_spending() -> None:
    lm = ScriptedLM(_play)
    with dspy.context(lm=lm), spending(Budget(tokens=1_000_000, root_tokens=900, sub_tokens=300)):
        _rlm()(q="1")
    assert [request.config.max_tokens for request in lm.requests] == [900, 300, 900]


class _Program(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.reader = _rlm()
        self.writer = dspy.Predict("a -> b")

    def forward(self, q: str) -> Any:
        return self.writer(a=self.reader(q=q).a)


def _three(program: Any) -> None:
    examples = [dspy.Example(q=str(n)).with_inputs("q") for n in range(3)]
    dspy.Parallel(num_threads=3, disable_progress_bar=True)([(program, example) for example in examples])


def _evaluate(program: Any) -> None:
    examples = [dspy.Example(q=str(n), b="said").with_inputs("q") for n in range(3)]
    dspy.Evaluate(devset=examples, metric=lambda gold, pred, trace=None: gold.b == pred.b, num_threads=3)(program)


@pytest.mark.parametrize("on_threads", [_three, _evaluate])
def test_programs_on_threads_of_dspy_pay_into_it_with_their_plain_predictors(on_threads: Any) -> None:
    with dspy.context(lm=ScriptedLM(_play)), spending(Budget(tokens=10_000_000)) as spent:
        on_threads(_Program())
    assert {role: usage.calls for role, usage in spent.usage.by_role.items()} == {"root": 6, "sub": 3, "other": 3}


def test_a_run_awaited_pays_into_it() -> None:
    async def run() -> Any:
        with dspy.context(lm=ScriptedLM(_play)), spending(Budget(tokens=1_000_000)) as spent:
            predictions = await asyncio.gather(_rlm().acall(q="1"), _rlm().acall(q="2"))
            return spent, predictions

    spent, predictions = asyncio.run(run())
    assert spent.usage.total == _sum(*predictions)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(tokens=60_000, root_tokens=16_000, sub_tokens=1_000), "budget:tokens"),
        (Budget(cost_usd=600.0, prices=PRICES, root_tokens=16_000, sub_tokens=1_000), "budget:cost"),
    ],
)
def test_a_run_that_it_cannot_pay_any_further_ends_as_by_its_own_budget(budget: Budget, reason: str) -> None:
    def play(request: Request) -> Reply:
        if "[[ ## code ## ]]" in str(request.system):
            return turn("for n in range(20):\n    other(n)")
        return fields(a="drawn up") if "[[ ##" in str(request.system) else "re"

    def other(n: int) -> None:
        """Costs as much as it may."""
        spent.ledger.settle("other", {"m": Usage(1, 0, 1_000, 0, 4.0)})

    with dspy.context(lm=ScriptedLM(play)), spending(budget) as spent:
        prediction = _rlm(tools=[other])(q="1")
    assert (prediction.a, prediction.termination_reason) == ("drawn up", reason)
    assert "extract" in spent.usage.by_role


@pytest.mark.parametrize(
    ("own", "shared", "is_told"),
    [
        (Budget(), Budget(tokens=60_000), True),
        (Budget(tokens=60_000), Budget(tokens=1_000_000), False),
        (Budget(tokens=60_000), Budget(), False),
        (Budget(tokens=1_000_000), Budget(cost_usd=600.0, prices=PRICES), True),
    ],
)
def test_a_run_says_whether_what_it_lacked_is_shared(own: Budget, shared: Budget, is_told: bool) -> None:
    def play(request: Request) -> Reply:
        reply = turn("print(1)") if "[[ ## code ## ]]" in str(request.system) else fields(a="drawn up")
        return response(reply, usage=Tokens(input_tokens=2_000, output_tokens=4_000))

    with dspy.context(lm=ScriptedLM(play)), spending(shared), spending(Budget()), capture_runs() as runs:
        prediction = _rlm(budget=own)(q="1")
    assert prediction.termination_reason.startswith("budget:")
    (finished,) = (event for event in runs[0].events if isinstance(event, RunFinished))
    assert finished.met_shared_limit is is_told


def test_a_first_turn_that_it_cannot_pay_is_a_typed_error_with_the_record() -> None:
    lm = ScriptedLM(_play)
    with dspy.context(lm=lm), spending(Budget(tokens=50_000, root_tokens=30_000)) as spent:
        _rlm()(q="1")
        asked = len(lm.requests)
        spent.ledger.settle("other", {"m": Usage(1, 0, 30_000)})
        with pytest.raises(FatalError, match=r"ended in its first turn, since the shared budget's tokens") as raised:
            _rlm()(q="2")
        assert len(lm.requests) == asked
    assert not isinstance(raised.value, InputError)
    assert isinstance(raised.value.__cause__, LimitReached)
    assert raised.value.__cause__.is_shared
    assert raised.value.partial.usage.total.calls == 0
    assert [event.met_shared_limit for event in raised.value.partial.events if isinstance(event, RunFinished)] == [True]


def test_the_answer_of_one_run_is_not_paid_from_what_is_kept_for_another() -> None:
    with spending(Budget(tokens=60_000)) as spent:
        one, two = (Ledger(0, parent=spent.ledger) for _ in range(2))
        one.keep(Need(10_000))
        two.keep(Need(10_000))
        spent.ledger.settle("other", {"m": Usage(1, 0, 40_000)})
        assert spent.left.tokens == 0
        assert isinstance(one.admit(Need(11_000), is_final=True).exception(0), LimitReached)
        assert one.admit(Need(10_000), is_final=True).result(0)
        two.close()
        assert spent.left.tokens == 0
        one.close()
        assert spent.left.tokens == 10_000  # what is held by a call that nobody waits for is not to be had


def test_an_lm_for_anything_else_pays_into_it_and_tells_when_it_cannot() -> None:
    lm = ScriptedLM(_play)
    with spending(Budget(tokens=20_000, root_tokens=15_000)) as spent:
        reflection = spent.lm(lm)
        assert isinstance(reflection, dspy.BaseLM)
        assert reflection("think") == ["re"]
        assert spent.usage.by_role["other"] == Usage(1, 0, 10, 5, None)
        assert lm.requests[0].config.max_tokens == 15_000
        predictor = dspy.Predict("a -> b")
        predictor.lm = reflection
        assert predictor(a="x").b == "said"
        spent.ledger.settle("other", {"m": Usage(1, 0, 10_000)})
        with pytest.raises(LimitReached, match="tokens are used up"):
            predictor(a="x")
        with pytest.raises(LimitReached):
            asyncio.run(predictor.acall(a="x"))
    assert len(lm.requests) == 2


def test_an_rlm_given_that_lm_pays_once() -> None:
    with spending(Budget(tokens=1_000_000)) as spent:
        rlm = _rlm(sub_lm=spent.lm(ScriptedLM(_play)))
        rlm.set_lm(spent.lm(ScriptedLM(_play)))
        prediction = rlm(q="1")
    assert spent.usage.total == prediction.usage.total
    assert spent.usage.total.calls == 3


def test_what_tools_of_a_run_start_is_counted_once() -> None:
    def ask() -> str:
        """Another run, another predictor, and an LM of its own."""
        _rlm()(q="inner")
        dspy.Predict("a -> b")(a="x")
        return judge("judge")[0]

    def play(request: Request) -> Reply:
        is_outer = "outer" in str(request.messages[0])
        return turn("SUBMIT(a=ask())") if is_outer and "[[ ## code ## ]]" in str(request.system) else _play(request)

    lm = ScriptedLM(play)
    with dspy.context(lm=lm), spending(Budget(tokens=1_000_000)) as spent:
        judge = spent.lm(ScriptedLM(_play, model="judge/model"))
        prediction = RLM("outer -> a", tools=[ask], interpreter_factory=FakeInterpreter)(outer="1")
    assert spent.usage.total == prediction.usage.total
    assert spent.usage.total.calls == len(lm.requests) + 1 == 6


def test_cached_calls_are_free() -> None:
    with dspy.context(lm=ScriptedLM(_play, cache=True)), spending(Budget(tokens=1_000_000)) as spent:
        _rlm()(q="1")
        before = spent.left.tokens
        assert before == 1_000_000 - 45
        again = _rlm()(q="1")
        dspy.settings.lm("ask")
        assert spent.left.tokens == before - 15  # a longer reply is asked for than of a sub-LM
        dspy.settings.lm("ask")
    assert again.usage.total.cached_calls == 3
    assert spent.left.tokens == before - 15
    assert (spent.usage.total.calls, spent.usage.total.cached_calls) == (8, 4)


def test_an_unknown_price_is_refused_by_name_as_by_a_run() -> None:
    unknown = ScriptedLM(model="nobody/knows")
    with pytest.raises(InputError, match=r"nobody/knows.*prices="), dspy.context(lm=unknown):
        spending(Budget(cost_usd=1.0)).__enter__()
    with spending(Budget(cost_usd=1.0)) as spent:
        with pytest.raises(InputError, match=r"nobody/knows.*prices="):
            spent.lm(unknown)
        rlm = _rlm()
        rlm.set_lm(unknown)
        with pytest.raises(InputError, match=r"nobody/knows.*prices=") as raised:
            rlm(q="1")
    assert raised.value.partial.run_id
    assert unknown.requests == []


def test_a_budget_within_a_budget_holds_both() -> None:
    with dspy.context(lm=ScriptedLM(_play)), spending(Budget(tokens=100_000)) as outer:
        with spending(Budget(tokens=60_000, cost_usd=9e9, prices=PRICES)) as inner:
            one = _rlm()(q="1")
            assert inner.left.tokens == 60_000 - 45
        two = _rlm()(q="2")
        with spending(Budget(tokens=10_000_000)) as wide:
            assert wide.left.tokens == outer.left.tokens == 100_000 - 90
            outer.ledger.settle("other", {"m": Usage(1, 0, 99_000)})
            with pytest.raises(LimitReached, match="shared budget"):
                dspy.settings.lm("ask")
    assert inner.usage.total == one.usage.total
    assert (outer.usage.total.calls, wide.usage.total.calls) == (_sum(one, two).calls + 1, 0)


def test_its_time_counts_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, clock = ScriptedLM(_play), [1_000.0]
    monkeypatch.setattr("rlm_module.waiting.time.monotonic", lambda: clock[0])
    with dspy.context(lm=lm), spending(Budget(seconds=100.0)) as spent:
        assert spent.left.seconds == 85.0
        clock[0] += 90
        assert spent.left.seconds == 0
        with pytest.raises(LimitReached, match="seconds are used up"):
            dspy.settings.lm("ask")
        with pytest.raises(FatalError, match="seconds"):
            _rlm()(q="1")
    assert lm.requests == []


def test_what_a_resumed_run_spent_before_is_not_spent_again(tmp_path: Path) -> None:
    rlm = _rlm(journal=tmp_path, budget=Budget(tokens=200_000))
    replies = [turn("print(1)"), KeyboardInterrupt()]
    with dspy.context(lm=ScriptedLM(replies)), pytest.raises(KeyboardInterrupt):
        rlm(q="1")
    (folder,) = tmp_path.iterdir()
    with dspy.context(lm=ScriptedLM([turn("SUBMIT(a='x')")])), spending(Budget(tokens=50_000)) as spent:
        prediction = rlm.resume(folder)
    assert spent.usage.total == Usage(1, 0, 10, 5, None)
    assert prediction.usage.total.tokens > 30


def test_a_copy_of_a_program_pays_into_the_same_and_a_saved_one_into_none() -> None:
    lm = ScriptedLM(_play)
    with spending(Budget(tokens=1_000_000)) as spent:
        predictor = dspy.Predict("a -> b")
        predictor.lm = spent.lm(lm)
        assert copy.deepcopy(predictor)(a="x").b == "said"
        predictor.lm.copy(temperature=0.5)("ask")
        assert spent.usage.total.calls == 2
        saved = dspy.LM("openai/gpt-5", temperature=1.0, max_tokens=20_000)
        assert spent.lm(saved).dump_state() == saved.dump_state()


def test_outside_nothing_is_shared() -> None:
    with dspy.context(lm=ScriptedLM(_play)):
        with spending(Budget(tokens=1_000_000)) as spent:
            pass
        _rlm()(q="1")
    assert spent.usage.total.calls == 0
