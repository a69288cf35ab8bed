"""What is no `Exception`, or one that cannot be told, fails the example at hand only."""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
import pytest

from rlm_module.optimizers import RLMGEPA, Metric
from tests.scripted import ScriptedLM, fields

TRAIN = [dspy.Example(q=f"q{number}", a="good").with_inputs("q") for number in range(4)]


class _Untold(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class _Program(dspy.Module):
    def __init__(self, error: BaseException | None) -> None:
        super().__init__()
        self.inner = dspy.Predict("q -> a")
        self.error = error

    def forward(self, q: str) -> Any:
        if q == "q2" and self.error is not None:
            raise self.error
        return self.inner(q=q)


def _scores(program: dspy.Module, metric: Any) -> list[float]:
    optimizer = RLMGEPA(metric, reflection_lm=lambda request: "", patience=1, show_progress=False, num_threads=2)
    with dspy.context(lm=ScriptedLM(lambda request: fields(a="good"))):
        scores = optimizer.compile(program, trainset=TRAIN).compilation.candidates[0].scores
    return [scores[number] for number in range(4)]


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(), _Untold()])
def test_a_program_may_raise_it(error: BaseException) -> None:
    assert _scores(_Program(error), lambda example, prediction: 1.0) == [1.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(), _Untold()])
def test_a_metric_may_raise_it(error: BaseException) -> None:
    def metric(example: Any, prediction: Any) -> float:
        if example.q == "q2":
            raise error
        return 1.0

    assert _scores(_Program(None), metric) == [1.0, 1.0, 0.0, 1.0]


def test_an_error_that_cannot_be_told_is_named() -> None:
    def metric(example: Any, prediction: Any) -> float:
        raise _Untold

    fault = Metric(metric).judge(1, 2).fault
    assert fault == "The metric raised _Untold (its text cannot be had); the example counts as 0."
