"""A program with an RLM that dspy does not find is refused before anything is spent on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dspy
import pytest

from rlm_module import RLM, InputError, named_modules
from rlm_module.optimizers import RLMGEPA, RLMBootstrap
from rlm_module.optimizers.reach import require_reach

_EXAMPLES = [dspy.Example(q="1", a="1").with_inputs("q")]


def _program(value: Callable[[], Any]) -> dspy.Module:
    program: Any = dspy.Module()
    program.reader = RLM("q -> a")
    program.parts = value()
    return program


def _score(gold: Any, prediction: Any, trace: Any = None) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (lambda: [[RLM("q -> a")]], "parts[0][0]"),
        (lambda: {"y": {"z": RLM("q -> a")}}, "parts['y']['z']"),
        (lambda: ({"z": _program(lambda: None)},), "parts[0]['z'].reader"),
    ],
)
def test_what_would_vanish_from_the_saved_program_is_refused(value: Callable[[], Any], place: str) -> None:
    program = _program(value)
    assert len(program.named_predictors()) == 2
    for optimizer in (RLMGEPA(_score, reflection_lm=str, show_progress=False), RLMBootstrap(_score)):
        with pytest.raises(InputError, match=r"could not be saved") as refused:
            optimizer.compile(program, trainset=_EXAMPLES)
        assert f"`{place}`" in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        lambda: RLM("q -> a"),
        lambda: [RLM("q -> a"), 5],
        lambda: {"a][b": RLM("q -> a")},
        lambda: ([dspy.Predict("q -> a")], _program(lambda: [RLM("q -> a")])),
    ],
)
def test_what_dspy_finds_is_not(value: Callable[[], Any]) -> None:
    program = _program(value)
    found = {name for name, _ in program.named_predictors()}
    learning = {name.removeprefix("self.") for name, part in named_modules(program) if isinstance(part, RLM)}
    vars(program)["itself"] = program.__dict__["reader"]
    vars(program.__dict__["reader"])["_compiled"] = True
    require_reach(program)
    assert {f"{name}.extract" for name in learning} <= found
