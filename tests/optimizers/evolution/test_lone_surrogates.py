"""Characters that no file takes, in a proposal or a record, do not end a compile or its next try."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module.optimizers import RLMGEPA
from rlm_module.optimizers.evolution.replies import read_text
from tests.scripted import ScriptedLM, fields, texts

LONE = "\ud800"
TRAIN = [dspy.Example(q=f"q{number}", a="good").with_inputs("q") for number in range(3)]


def _answer(request: Any) -> str:
    return fields(a="good" if "MAGIC" in "".join(text for _, text in texts(request)) else "bad")


def _compile(folder: Path, reflect: Any, metric: Any) -> Any:
    optimizer = RLMGEPA(metric, reflection_lm=reflect, run_dir=folder, show_progress=False, num_threads=1)
    with dspy.context(lm=ScriptedLM(_answer)):
        return optimizer.compile(dspy.Predict("q -> a"), trainset=TRAIN)


def _metric(example: Any, prediction: Any, trace: Any = None) -> Any:
    return dspy.Prediction(score=float(prediction.a == "good"), feedback=f"Odd: {LONE}.")


def test_a_proposal_with_one_is_tried_and_saved(tmp_path: Path) -> None:
    compiled, again = (_compile(tmp_path, lambda request: f"```\nMAGIC {LONE}\n```", _metric) for _ in range(2))
    assert compiled.signature.instructions == again.signature.instructions == "MAGIC \\ud800"
    json.dumps(compiled.dump_state(), ensure_ascii=False).encode()


def test_the_reflection_model_is_sent_none(tmp_path: Path) -> None:
    asked: list[str] = []
    _compile(tmp_path, asked.append, _metric)
    assert asked
    assert all("Odd: \\ud800." in request for request in asked)
    "".join(asked).encode()


@pytest.mark.parametrize("reply", [f"```\na{LONE}\n```", f"a{LONE}"])
def test_a_text_is_read_without_them(reply: str) -> None:
    assert read_text(reply, "x") == "a\\ud800"


def test_an_error_on_the_way_leaves_what_was_found(tmp_path: Path) -> None:
    calls = 0

    def reflect(request: str) -> Any:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise SystemExit
        return "```\nMAGIC\n```"

    def metric(example: Any, prediction: Any, trace: Any = None) -> float:
        return 0.5 * (prediction.a == "good")

    with pytest.raises(SystemExit) as caught:
        _compile(tmp_path, reflect, metric)
    partial = caught.value.partial  # pyright: ignore[reportAttributeAccessIssue]
    assert partial.signature.instructions == "MAGIC"
    assert partial.compilation.stopped == "an error"
