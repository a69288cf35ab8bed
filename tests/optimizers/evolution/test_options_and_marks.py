"""A perfect score that turns out too low is raised, wrong options are told in a sentence, and so are too few runs."""

from __future__ import annotations

import logging
import re
from typing import Any

import dspy
import pytest

from rlm_module import InputError
from rlm_module.optimizers import RLMGEPA
from rlm_module.optimizers.evolution.options import Mark
from tests.optimizers.hidden_advice import World
from tests.scripted import ScriptedLM, fields, texts

TRAIN = [dspy.Example(q=f"q{number}", a="good").with_inputs("q") for number in range(4)]


def _answer(request: Any) -> str:
    text = "".join(text for _, text in texts(request))
    return fields(a="best" if "MORE" in text else "good" if "SOME" in text else "bad")


def _metric(example: Any, prediction: Any) -> float:
    return {"best": 40.0, "good": 40.0 if example.q == "q0" else 10.0, "bad": 0.0}[prediction.a]


def _reflect(request: str) -> str:
    return "```\nSOME MORE\n```" if "Score: 10" in request else "```\nSOME\n```"


def test_a_score_above_perfect_raises_the_mark(caplog: pytest.LogCaptureFixture) -> None:
    optimizer = RLMGEPA(_metric, reflection_lm=_reflect, show_progress=False, num_threads=1, max_runs=80)
    with dspy.context(lm=ScriptedLM(_answer)):
        found = optimizer.compile(dspy.Predict("q -> a"), trainset=TRAIN).compilation
    assert found.candidates[found.best].score == 40.0
    assert re.search(r"The metric gave (10|40), which is above perfect_score=1,", caplog.text)
    assert "SOME MORE" in found.candidates[found.best].texts.values()


def test_the_first_runs_may_not_be_above() -> None:
    optimizer = RLMGEPA(_metric, reflection_lm=_reflect, show_progress=False)
    with (
        dspy.context(lm=ScriptedLM(lambda request: fields(a="good"))),
        pytest.raises(InputError, match="above perfect_score"),
    ):
        optimizer.compile(dspy.Predict("q -> a"), trainset=TRAIN)


def test_a_mark_only_rises() -> None:
    mark = Mark(1.0)
    mark.raise_to(0.5)
    assert (mark.score, mark.reaches(1.0), mark.reaches(0.99)) == (1.0, True, False)


@pytest.mark.parametrize("learn", ["strategy", None, 5])
def test_learn_is_a_list(learn: Any) -> None:
    with pytest.raises(InputError, match=r"learn must be a list of names such as \[\"strategy\"\], not "):
        RLMGEPA(_metric, learn=learn)


@pytest.mark.parametrize("trainset", [None, 5, "text"])
def test_examples_are_a_list(trainset: Any) -> None:
    with pytest.raises(InputError, match=r"The trainset must be a list of dspy\.Example, not \w+\."):
        RLMGEPA(_metric, reflection_lm=_reflect).compile(dspy.Predict("q -> a"), trainset=trainset)


@pytest.mark.parametrize(("runs", "is_told"), [(30, True), (36, False), (None, False)])
def test_too_few_runs_are_told_before_they_are_made(
    runs: int | None, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    optimizer = RLMGEPA(
        world.metric, reflection_lm=world.reflect, max_runs=runs, patience=1, show_progress=False, num_threads=1
    )
    with caplog.at_level(logging.WARNING):
        optimizer.compile(world.program(), trainset=world.train, valset=world.val)
    told = "max_runs=30 is little for 12 validation examples, and it may be that nothing is learned; allow at least 36"
    assert (told in caplog.text) is is_told
