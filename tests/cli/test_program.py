"""The metric `exact`: which columns of an example count."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from rlm_module import RLM, InputError
from rlm_module.cli.program import load_metric


class _Plain(dspy.Module):
    """Declares no outputs."""

    def forward(self, question: str) -> dspy.Prediction:
        return dspy.Prediction(answer=question)


def _exact(program: dspy.Module, labels: dict[str, Any], outputs: dict[str, Any]) -> float:
    metric = load_metric("exact", "file.py:program", program)
    score: float = metric(dspy.Example(question="?", **labels).with_inputs("question"), dspy.Prediction(**outputs))
    return score


@pytest.mark.parametrize("program", [RLM("question -> answer"), dspy.Predict("question -> answer"), _Plain()])
def test_columns_that_are_no_outputs_do_not_count(program: dspy.Module) -> None:
    assert _exact(program, {"answer": " Right  one", "id": 7, "items": "x"}, {"answer": "right one"}) == 1
    assert _exact(program, {"answer": "right", "id": 7}, {"answer": "wrong"}) == 0


def test_an_output_that_is_declared_and_absent_is_wrong() -> None:
    assert _exact(RLM("question -> answer, note"), {"answer": "a", "note": "b"}, {"answer": "a"}) == 0.5
    assert _exact(_Plain(), {"answer": "a", "note": "b"}, {"answer": "a"}) == 1


def test_labels_of_which_none_is_an_output_are_no_score() -> None:
    with pytest.raises(InputError, match="no label of the example is an output"):
        _exact(_Plain(), {"reply": "a"}, {"answer": "a"})
