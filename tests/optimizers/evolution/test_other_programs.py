"""Scores of one program and metric are not taken for those of another that merely has the same texts and names."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import RLM, Budget, InputError
from rlm_module.optimizers import RLMGEPA
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, turn

TRAIN = [dspy.Example(q="?", a="yes").with_inputs("q")]


def look(x: str) -> str:
    """Looks."""
    return x


class _French(dspy.Signature):
    """Answer in French."""

    q: str = dspy.InputField()
    a: str = dspy.OutputField()


def _rlm(signature: Any = "q -> a", **options: Any) -> RLM:
    return RLM(signature, interpreter_factory=FakeInterpreter, **options)


def _with_demos() -> RLM:
    rlm = _rlm()
    rlm.extract.demos = [dspy.Example(q="x", a="good")]
    return rlm


def _frozen(demos: int) -> dspy.Module:
    class _Pair(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rlm, self.helper = _rlm(), dspy.Predict("q -> b")
            self.helper.demos = [dspy.Example(q="x", b="y")] * demos
            self.helper._compiled = True

        def forward(self, q: str) -> Any:
            return self.rlm(q=q)

    return _Pair()


def _metric(example: Any, prediction: Any) -> float:
    return 0.0


def _other_metric() -> Any:
    def _metric(example: Any, prediction: Any) -> float:
        return 0.5

    _metric.__qualname__ = "_metric"
    return _metric


def _scaled(scale: float, example: Any, prediction: Any) -> float:
    return scale


def _compile(folder: Path, program: dspy.Module, metric: Any = _metric, **options: Any) -> int:
    lm = ScriptedLM(lambda request: turn("SUBMIT(a='1')"))
    optimizer = RLMGEPA(
        metric, reflection_lm=lambda request: "", run_dir=folder, patience=1, show_progress=False, **options
    )
    with dspy.context(lm=lm):
        optimizer.compile(program, trainset=TRAIN)
    return len(lm.requests)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: _rlm("q -> a: int"), "program, signatures"),
        (lambda: _rlm(_French), "signatures"),
        (_with_demos, "program"),
        (lambda: _rlm(max_iters=3), "RLM limits"),
        (lambda: _rlm(max_depth=0), "RLM limits"),
        (lambda: _rlm(budget=Budget(tokens=100_000)), "RLM limits"),
        (lambda: _rlm(tools=[look]), "RLM tools"),
        (lambda: _rlm(sub_lm=ScriptedLM(model="other/model")), "models"),
    ],
)
def test_another_program_is_told_by_what_differs(tmp_path: Path, make: Any, named: str) -> None:
    assert _compile(tmp_path, _rlm()) == 1
    assert _compile(tmp_path, _rlm()) == 0
    with pytest.raises(InputError, match=rf"with other .*{named.split(', ')[-1]}"):
        _compile(tmp_path, make())


def test_parts_that_are_marked_as_compiled_belong_to_it(tmp_path: Path) -> None:
    _compile(tmp_path, _frozen(0))
    with pytest.raises(InputError, match="with other program:"):
        _compile(tmp_path, _frozen(1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_metric, _other_metric()),
        (lambda example, prediction: 0.0, lambda example, prediction: 0.5),
        (functools.partial(_scaled, 0.0), functools.partial(_scaled, 0.5)),
    ],
)
def test_another_metric_of_the_same_name_is_another_one(tmp_path: Path, one: Any, other: Any) -> None:
    _compile(tmp_path, _rlm(), one)
    _compile(tmp_path, _rlm(), one)
    with pytest.raises(InputError, match="with other metric:"):
        _compile(tmp_path, _rlm(), other)


def test_another_perfect_score_is_another_option(tmp_path: Path) -> None:
    _compile(tmp_path, _rlm())
    with pytest.raises(InputError, match="with other options"):
        _compile(tmp_path, _rlm(), perfect_score=2.0)


def test_an_inline_metric_may_stand_beside_another_limit(tmp_path: Path) -> None:
    def call(metric: Any, **options: Any) -> int:
        return _compile(tmp_path, _rlm(), metric, **options)

    assert call(lambda example, prediction: 0.0, max_runs=5) == 1
    assert call(lambda example, prediction: 0.0, max_runs=6) == 0
