from __future__ import annotations

import logging
from decimal import Decimal
from functools import partial
from typing import Any

import dspy
import pytest

from rlm_module.optimizers import Metric


def _judge(metric: Any, name: str | None = "reader.generate_action") -> Any:
    return Metric(metric).judge("gold", "pred", "trace", name, "part")


class _Callable:
    def __call__(self, gold: Any, pred: Any, trace: Any = None) -> float:
        return float((gold, pred, trace) == ("gold", "pred", "trace"))


class _Module(dspy.Module):
    def forward(self, example: Any, pred: Any, trace: Any = None) -> float:
        return float((example, pred, trace) == ("gold", "pred", "trace"))


def _three(gold: Any, pred: Any, trace: Any = None) -> float:
    return float((gold, pred, trace) == ("gold", "pred", "trace"))


def _four(scale: float, gold: Any, pred: Any, trace: Any) -> float:
    return scale * _three(gold, pred, trace)


def _five(gold: Any, pred: Any, trace: Any, pred_name: Any, pred_trace: Any) -> float:
    return _three(gold, pred, trace) * ((pred_name, pred_trace) == ("reader.generate_action", "part"))


def _six(gold: Any, pred: Any, trace: Any, pred_name: Any, pred_trace: Any, program_trace: Any) -> float:
    return _five(gold, pred, trace, pred_name, pred_trace) * (program_trace == "trace")


def _by_name(gold: Any, pred: Any, *, pred_name: str | None = None, **rest: Any) -> float:
    return float((pred_name, rest["trace"]) == ("reader.generate_action", "trace"))


def _own_options(gold: Any, pred: Any, trace: Any = None, frac: float = 1.0, strict: bool = True) -> float:
    return frac if strict is True else 0.0


@pytest.mark.parametrize("metric", [_three, _own_options, partial(_four, 1.0), _Callable(), _Module()])
def test_a_metric_without_predictors_gets_a_trace_for_bootstrapping_only(metric: Any) -> None:
    assert _judge(metric, None).score == 1.0
    assert _judge(metric).score == (1.0 if metric is _own_options else 0.0)


@pytest.mark.parametrize(
    "metric",
    [
        lambda gold, pred: (gold, pred) == ("gold", "pred"),
        _five,
        _six,
        _by_name,
        lambda *given: given == ("gold", "pred", "trace", "reader.generate_action", "part"),
        lambda gold, pred, *rest: rest == ("trace", "reader.generate_action", "part"),
    ],
)
def test_a_metric_may_take_what_dspys_metrics_take(metric: Any) -> None:
    judged = _judge(metric)
    assert (judged.score, judged.fault) == (1.0, None)


@pytest.mark.parametrize("score", [0.5, Decimal("0.5"), dspy.Prediction(score=0.5), {"score": 0.5}])
def test_scores_of_any_numeric_kind_count(score: Any) -> None:
    assert _judge(lambda gold, pred: score).score == 0.5


@pytest.mark.parametrize(
    ("returned", "word"),
    [
        (None, "None"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("0.9", "'0.9'"),
        (dspy.Prediction(feedback="good"), "without a score"),
        ([1], "[1]"),
        (10**400, "finite"),
        (1j, "1j"),
    ],
)
def test_no_usable_score_is_zero_and_one_sentence(returned: Any, word: str) -> None:
    judged = _judge(lambda gold, pred: returned)
    assert judged.score == 0.0
    assert judged.fault is not None
    assert word in judged.fault
    assert len(judged.fault) < 500
    assert "\n" not in judged.fault


def test_a_metric_that_raises_is_zero_and_one_sentence() -> None:
    def metric(gold: Any, pred: Any) -> float:
        raise KeyError("answer\n" * 1000)

    judged = _judge(metric)
    assert judged.fault is not None
    assert judged.fault.startswith("The metric raised KeyError")
    assert (judged.score, len(judged.fault) < 500, "\n" in judged.fault) == (0.0, True, False)


def test_an_async_metric_is_told_of() -> None:
    async def metric(gold: Any, pred: Any) -> float:
        return 1.0

    assert "async" in (_judge(metric).fault or "")


def test_ctrl_c_goes_through() -> None:
    def metric(gold: Any, pred: Any) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _judge(metric)


def test_bools_count_and_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    metric = Metric(lambda gold, pred: gold == "gold")
    with caplog.at_level(logging.INFO, logger="rlm_module"):
        assert [metric.judge("gold", None).score, metric.judge("other", None).score] == [1.0, 0.0]
    assert len(caplog.records) == 1


def test_words_and_further_scores_are_kept_in_bounds() -> None:
    def metric(gold: Any, pred: Any) -> Any:
        return dspy.Prediction(score=1, feedback="x" * 10**6, objective_scores={"cost": 2, "bad": "no"})

    judged = _judge(metric)
    assert judged.objectives == {"cost": 2.0}
    assert len(judged.feedback) < 30_000
