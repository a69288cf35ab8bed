"""Samples of a run differ in their sub-calls, too, whatever the caches hold."""

from __future__ import annotations

import itertools
from typing import Any

import dspy
import pytest

from rlm_module import RLM
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, fields, turn


def _drawing(**options: Any) -> ScriptedLM:
    """A sub-LM with a cache, that answers otherwise each time it is really asked."""
    numbers = itertools.count(1)
    return ScriptedLM(lambda request: str(next(numbers)), cache=True, **options)


def _root(code: str = "SUBMIT(answer=llm_query('Draw a number.'))") -> ScriptedLM:
    return ScriptedLM(lambda request: turn(code), cache=True)


def _rlm(**options: Any) -> RLM:
    return RLM("q -> answer", interpreter_factory=FakeInterpreter, **options)


def _answers(rlm: RLM, rollouts: int = 3) -> list[str]:
    """What `BestOfN` gets to choose from."""
    found: list[str] = []

    def reward(inputs: Any, prediction: Any) -> float:
        found.append(prediction.answer)
        return 0.0

    with dspy.context(trace=[]):
        dspy.BestOfN(rlm, N=rollouts, reward_fn=reward, threshold=1.0)(q="x")
    return found


def test_best_of_n_draws_anew_from_a_sub_lm_of_its_own() -> None:
    with dspy.context(lm=_root()):
        assert _answers(_rlm(sub_lm=_drawing())) == ["1", "2", "3"]


def test_and_from_those_chosen_by_name() -> None:
    with dspy.context(lm=_root("SUBMIT(answer=llm_query('Draw.', model='small'))")):
        assert _answers(_rlm(sub_lms={"small": _drawing()})) == ["1", "2", "3"]


def test_and_where_the_root_answers_sub_calls() -> None:
    numbers = itertools.count(1)

    def answer(request: Any) -> str:
        return turn("SUBMIT(answer=llm_query('Draw.'))") if request.system else str(next(numbers))

    with dspy.context(lm=ScriptedLM(answer, cache=True)):
        assert _answers(_rlm()) == ["1", "2", "3"]


def test_and_for_typed_sub_calls() -> None:
    numbers = itertools.count(1)
    sub = ScriptedLM(lambda request: fields(number=next(numbers)), cache=True)
    with dspy.context(lm=_root("SUBMIT(answer=predict('q -> number', q='Draw.').number)")):
        assert _answers(RLM("q -> answer", sub_lm=sub)) == ["1", "2", "3"]


def test_the_same_sample_twice_comes_out_of_the_cache() -> None:
    rlm, lm = _rlm(sub_lm=_drawing()), _root()
    with dspy.context(lm=lm):
        assert _answers(rlm) == _answers(rlm)


def test_without_samples_sub_calls_are_cached_as_ever() -> None:
    sub = _drawing()
    with dspy.context(lm=_root()):
        assert [_rlm(sub_lm=sub)(q="x").answer for _ in range(2)] == ["1", "1"]


@pytest.mark.parametrize(("own", "sampled"), [(0.0, 1.0), (None, None), (0.3, 0.3)])
def test_a_sub_lm_at_temperature_0_takes_the_samples_temperature(own: float | None, sampled: float | None) -> None:
    sub = _drawing(temperature=own)
    with dspy.context(lm=_root()):
        _answers(_rlm(sub_lm=sub), 1)
    assert sub.requests[0].config.temperature == sampled
    assert sub.kwargs.get("rollout_id") is None


def test_bootstrapping_again_asks_sub_lms_again() -> None:
    sub = _drawing()
    optimizer = dspy.BootstrapFewShot(
        metric=lambda gold, prediction, trace=None: prediction.answer == "3", max_labeled_demos=0, max_rounds=4
    )
    with dspy.context(lm=_root()):
        compiled: Any = optimizer.compile(_rlm(sub_lm=sub), trainset=[dspy.Example(q="x").with_inputs("q")])
    assert len(sub.requests) == 3
    assert compiled.generate_action.demos
