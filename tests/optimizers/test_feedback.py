from __future__ import annotations

import copy
from typing import Any

import dspy
import pytest

from rlm_module import RLM, InputError, Sandbox
from rlm_module.optimizers import trajectory_feedback
from tests.fake_interpreter import FakeInterpreter
from tests.optimizers.programs import TwoStep, exact, example, number_lm
from tests.scripted import ScriptedLM, fields, said, turn


def _ran(number: int, **options: Any) -> tuple[Any, Any]:
    """What `TwoStep` answers, and the trace of that."""
    with dspy.context(lm=number_lm(**options), trace=[]):
        prediction = TwoStep()(**example(number).inputs())
        return prediction, list(dspy.settings.trace)


def test_without_a_trace_a_run_of_the_rlm_itself_is_told_of() -> None:
    lm = ScriptedLM([turn("1/0"), turn("1/0"), turn("SUBMIT(answer='x')")])
    with dspy.context(lm=lm):
        prediction = RLM("q -> answer", interpreter_factory=FakeInterpreter)(q="1")
    said_ = trajectory_feedback(lambda gold, pred: 0.25)(dspy.Example(q="1").with_inputs("q"), prediction)
    assert said_.score == 0.25
    assert "2 turns (of 3) ran code that failed." in said_.feedback
    assert "1 turn repeated" in said_.feedback


def test_the_users_words_come_first_and_whole() -> None:
    prediction, trace = _ran(1)
    words = "Look at the units. " * 500

    def metric(gold: Any, pred: Any) -> Any:
        return dspy.Prediction(score=0.5, feedback=words, objective_scores={"tone": 1})

    told = trajectory_feedback(metric)(example(), prediction, trace, "reader.generate_action", trace[:1])
    assert told.feedback.startswith(words)
    assert told.objective_scores == {"tone": 1.0}
    assert len(told.feedback) < len(words) + 10_000


@pytest.mark.parametrize(
    ("name", "reasoning"), [("reader.generate_action", "Mended."), ("writer.extract", "Passed on.")]
)
def test_the_rlm_that_is_asked_about_comes_first(name: str, reasoning: str) -> None:
    prediction, trace = _ran(3, slow=(3,))
    told = trajectory_feedback(exact)(example(3), prediction, trace, name, []).feedback
    first, second = ("reader", "writer") if name.startswith("reader") else ("writer", "reader")
    assert 0 < told.index(f"run of `{first}`") < told.index(f"run of `{second}`") < told.index("What happened")
    assert reasoning in told.partition("What happened in it:")[2]
    assert "ran code that failed" in told


def test_the_run_of_the_selected_turn_is_told_of_first() -> None:
    """Where an RLM ran twice, GEPA asks about a turn of one of the runs."""
    _, first = _ran(1)
    prediction, second = _ran(2)
    told = trajectory_feedback(exact)(example(2), prediction, first + second, "reader.generate_action", second[:1])
    assert "Number 2." in told.feedback.partition("What happened in it:")[2]
    assert "Number 1." not in told.feedback


def test_for_a_plain_predictor_runs_are_summed_up_and_not_shown() -> None:
    prediction, trace = _ran(1)
    told = trajectory_feedback(exact)(example(), prediction, trace, "check", []).feedback
    assert "run of `reader`" in told
    assert "What happened" not in told


def test_feedback_of_a_large_program_without_a_trace_is_the_metrics_own() -> None:
    prediction, _ = _ran(1)
    assert trajectory_feedback(exact)(example(), prediction).feedback == "The score is 1."


@pytest.mark.parametrize(
    ("returned", "words"), [(None, "returned None"), ("good", "returned 'good'"), (float("nan"), "returned nan")]
)
def test_a_metric_that_misbehaves_is_told_of(returned: Any, words: str) -> None:
    told = trajectory_feedback(lambda gold, pred: returned)(example(), dspy.Prediction())
    assert told.score == 0.0
    assert words in told.feedback


def test_a_program_that_failed_leaves_a_score_of_zero() -> None:
    told = trajectory_feedback(exact)(example(), None)
    assert told.score == 0.0
    assert "raised AttributeError" in told.feedback


@pytest.mark.parametrize("metric", [None, "exact"])
def test_what_is_no_metric_is_refused(metric: Any) -> None:
    with pytest.raises(InputError, match="metric must be a function"):
        trajectory_feedback(metric)


def test_wrapping_twice_tells_once() -> None:
    twice = trajectory_feedback(trajectory_feedback(exact))
    assert twice(example(), dspy.Prediction(answer="1")).feedback.count("score") == 1
    assert copy.deepcopy(twice)(example(), dspy.Prediction(answer="1")).score == 1.0
    with pytest.raises(InputError, match="at least 0"):
        trajectory_feedback(exact, chars=-1)


# In the hands of dspy.


def test_bootstrapping_takes_no_failure_for_a_demonstration() -> None:
    trainset = [example(1), example(2), example(3)]
    optimizer = dspy.BootstrapFewShot(metric=trajectory_feedback(exact), max_labeled_demos=0)
    with dspy.context(lm=number_lm(wrong=(1, 2))):
        compiled: Any = optimizer.compile(TwoStep(), trainset=trainset)
    assert [len(predictor.demos) for predictor in compiled.predictors()] == [1, 0, 1, 1, 0]


def test_evaluate_averages_the_scores() -> None:
    evaluate = dspy.Evaluate(devset=[example(1), example(2)], metric=trajectory_feedback(exact), num_threads=2)
    with dspy.context(lm=number_lm(wrong=(1,))):
        assert evaluate(TwoStep()).score == 50.0


def test_best_of_n_is_given_numbers() -> None:
    def short(inputs: dict[str, Any], pred: Any) -> float:
        return float(len(pred.answer) < 3)

    rewarded: list[Any] = []
    wrapped = trajectory_feedback(short)

    def reward(inputs: dict[str, Any], pred: Any) -> Any:
        rewarded.append(wrapped(inputs, pred))
        return rewarded[-1]

    with dspy.context(lm=number_lm()):
        best = dspy.BestOfN(module=TwoStep(), N=2, reward_fn=reward, threshold=1.0)
        assert best(**example(1).inputs()).answer == "1"
    assert rewarded == [1.0]


def test_gepa_reflects_on_what_happened() -> None:
    shown: list[str] = []

    def reflect(request: Any) -> str:
        shown.append(said(request))
        return "```\nBe quick.\n```"

    gepa = dspy.GEPA(
        metric=trajectory_feedback(exact), max_metric_calls=4, reflection_lm=ScriptedLM(reflect), num_threads=1, seed=0
    )
    with dspy.context(lm=number_lm(wrong=(1, 2, 3), slow=(1, 2, 3))):
        gepa.compile(TwoStep(interpreter_factory=Sandbox), trainset=[example(1), example(2)], valset=[example(3)])
    assert shown
    assert "run of `reader`" in shown[0]
    assert "ZeroDivisionError" in shown[0]
    assert "The score is 0." in shown[0]


def test_a_fallback_and_the_end_of_a_budget_are_told() -> None:
    lm = ScriptedLM([turn("print(1)"), fields(answer="x")])
    with dspy.context(lm=lm):
        prediction = RLM("q -> answer", max_iters=1, interpreter_factory=FakeInterpreter)(q="1")
    told = trajectory_feedback(exact)(dspy.Example(q="1", answer="x").with_inputs("q"), prediction).feedback
    assert "used all of its 1 turn without an accepted answer" in told
    assert "drawn up from the record" in told
