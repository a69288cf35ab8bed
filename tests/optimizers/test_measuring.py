"""What a program reaches on examples: each is run once, and those that fail count."""

from __future__ import annotations

from collections import Counter
from typing import Any

import dspy
import pytest

from rlm_module import InputError
from rlm_module.optimizers import measure
from tests.scripted import ScriptedLM, fields

EXAMPLES = [dspy.Example(question=str(number), answer=str(number % 3)).with_inputs("question") for number in range(6)]


class _Program(dspy.Module):
    """Answers with the remainder by 3, and fails at 5."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.answer = dspy.Predict("question -> answer")

    def forward(self, question: str) -> dspy.Prediction:
        self.asked[question] += 1
        if question == "5":
            raise RuntimeError("no fives")
        return self.answer(question=question)


def _is_right(example: dspy.Example, prediction: Any) -> bool:
    return example.answer == prediction.answer


@pytest.mark.parametrize("threads", [1, 3])
def test_every_example_counts_once_also_where_the_program_fails(threads: int) -> None:
    program, lm = _Program(), ScriptedLM(lambda _: fields(answer="0"))
    with dspy.context(lm=lm):
        measured = measure(program, EXAMPLES, _is_right, num_threads=threads)
    assert (measured.examples, measured.score) == (6, 2 / 6)
    assert set(program.asked.values()) == {1}
    assert len(lm.requests) == 5
    assert measured.cost_usd is None, "the price of a scripted model is not known"


def test_a_metric_that_fails_counts_as_0() -> None:
    def metric(example: dspy.Example, prediction: Any) -> float:
        return 1.0 if example.question == "0" else float("nan")

    with dspy.context(lm=ScriptedLM(lambda _: fields(answer="0"))):
        assert measure(_Program(), EXAMPLES[:4], metric).score == 0.25


def test_without_examples_there_is_nothing_to_measure() -> None:
    with pytest.raises(InputError, match="set of examples is empty"):
        measure(_Program(), [], _is_right)
