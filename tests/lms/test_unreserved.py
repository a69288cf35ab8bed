"""LMs that a `spending` block was not given: their calls are counted once they are made, and told of."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import dspy
import pytest

from rlm_module import RLM, Budget, LimitReached, spending
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, fields, turn

PRICES = {"scripted/model": (0.0, 0.0), "dear/model": (0.0, 2_000.0)}
"""A call of the dear LM returns 5 tokens: one cent."""
_CALL = 0.01


def _dear() -> ScriptedLM:
    return ScriptedLM(lambda request: fields(a="x"), model="dear/model", max_tokens=5)


def _ask(lm: Any, question: str = "?") -> Any:
    with dspy.context(lm=lm):
        return dspy.Predict("q -> a")(q=question)


def test_an_lm_of_a_context_within_is_charged_and_the_next_call_that_can_be_is_refused() -> None:
    with dspy.context(lm=_dear()), spending(Budget(cost_usd=10.0, prices=PRICES)) as spent:
        for _ in range(3):
            _ask(_dear())
        assert spent.usage.by_model["dear/model"].calls == 3
        assert spent.usage.total.completion_tokens == 15
        assert spent.usage.total.cost_usd == pytest.approx(3 * _CALL)
        assert spent.left.cost_usd == pytest.approx(10 - 3 * _CALL)
    with dspy.context(lm=_dear()), spending(Budget(cost_usd=_CALL / 2, prices=PRICES)) as spent:
        _ask(_dear())
        with pytest.raises(LimitReached):
            dspy.Predict("q -> a")(q="?")
        assert spent.usage.total.calls == 1


def test_one_warning_tells_of_each_such_lm(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "rlm_module"), dspy.context(lm=_dear()):
        with spending(Budget(cost_usd=10.0, prices=PRICES)), spending(Budget()):
            _ask(_dear())
            _ask(_dear())
            with spending(Budget()):
                _ask(_dear())
        assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["dear/model"]
        caplog.clear()
        with spending(Budget()):
            _ask(_dear())
    assert caplog.records == []


def test_calls_that_are_paid_for_are_not_charged_twice() -> None:
    def asking() -> str:
        """Asks."""
        return _ask(_dear()).a

    lm = ScriptedLM(lambda request: turn("SUBMIT(a=asking())"))
    rlm = RLM("q -> a", tools=[asking], interpreter_factory=FakeInterpreter)
    with dspy.context(lm=lm), spending(Budget(cost_usd=10.0, prices=PRICES)) as outer, spending(Budget()) as spent:
        prediction = rlm(q="?")
        _ask(spent.lm(_dear()))
        _ask(outer.lm(_dear()))
    assert prediction.usage.total.cost_usd == pytest.approx(_CALL)
    assert outer.usage.total.cost_usd == pytest.approx(3 * _CALL)
    assert spent.usage.by_role["tool"].calls == 1
    assert spent.usage.by_model["dear/model"].calls == 2


def test_blocks_within_blocks_and_within_runs_each_count_a_call_once() -> None:
    inner: list[Any] = []

    def asking() -> str:
        """Asks, with a budget of its own."""
        with spending(Budget(tokens=100_000)) as spent:
            inner.append(spent)
            return _ask(_dear()).a

    lm = ScriptedLM(lambda request: turn("SUBMIT(a=asking())"))
    rlm = RLM("q -> a", tools=[asking], interpreter_factory=FakeInterpreter)
    with dspy.context(lm=lm), spending(Budget(cost_usd=10.0, prices=PRICES)) as outer:
        prediction = rlm(q="?")
        with spending(Budget()) as middle:
            _ask(_dear())
    assert inner[0].usage.total.calls == 1
    assert prediction.usage.by_model["dear/model"].calls == 1
    assert middle.usage.total.cost_usd == pytest.approx(_CALL)
    assert outer.usage.total.cost_usd == pytest.approx(2 * _CALL)


def test_awaited_calls_threads_and_failures_are_seen_too() -> None:
    async def both() -> None:
        with dspy.context(lm=_dear()):
            await asyncio.gather(*(dspy.Predict("q -> a").acall(q=str(n)) for n in range(2)))

    class Program(dspy.Module):
        def forward(self, q: str) -> Any:
            return _ask(_dear(), q)

    examples = [dspy.Example(q=str(n)).with_inputs("q") for n in range(3)]
    with spending(Budget(cost_usd=10.0, prices=PRICES)) as spent, dspy.track_usage() as tracker:
        asyncio.run(both())
        dspy.Parallel(num_threads=3, disable_progress_bar=True)([(Program(), example) for example in examples])
        with pytest.raises(dspy.LMError):
            _failing()("?")
        assert dspy.settings.usage_tracker is tracker
    assert spent.usage.total.cost_usd == pytest.approx(6 * _CALL)  # what failed may have been paid for
    assert tracker.get_total_tokens()["dear/model"]["completion_tokens"] == 10  # dspy gives each thread a tracker


def _failing() -> ScriptedLM:
    return ScriptedLM([ValueError("lost")], model="dear/model", max_tokens=5)


def test_callbacks_of_the_user_stay_and_nothing_is_left_behind() -> None:
    mine = dspy.utils.BaseCallback()
    with dspy.context(callbacks=[mine]):
        with spending(Budget()), spending(Budget()):
            callbacks = list(dspy.settings.callbacks)
            assert callbacks[0] is mine
            assert len(callbacks) == 2
        assert dspy.settings.callbacks == [mine]
