"""Programs for optimizers to compile, on LMs that play a part."""

from __future__ import annotations

from typing import Any

import dspy

from rlm_module import RLM
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, fields, said, turn


class TwoStep(dspy.Module):
    """An RLM that reads, a plain predictor, and an RLM that writes; its answer is a plain prediction."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        options = {"interpreter_factory": FakeInterpreter, **options}
        self.reader = RLM("context, question -> finding", **options)
        self.check = dspy.Predict("finding -> note")
        self.writer = RLM("finding -> answer", **options)

    def forward(self, context: str, question: str) -> dspy.Prediction:
        finding = self.reader(context=context, question=question).finding
        note = self.check(finding=finding).note
        return dspy.Prediction(answer=self.writer(finding=finding).answer, note=note)


def example(number: int = 1, **others: Any) -> dspy.Example:
    """An example of `TwoStep`, whose answer is its number."""
    given = {"context": f"the number is {number}", "question": f"question {number}", "answer": str(number), **others}
    return dspy.Example(**given).with_inputs("context", "question")


def number_lm(*, wrong: tuple[int, ...] = (), slow: tuple[int, ...] = ()) -> ScriptedLM:
    """Finds the number of an example in two turns, and passes it on.

    Args:
        wrong: Numbers that it gets wrong.
        slow: Numbers for which it needs a failing turn first.
    """

    def answer(request: Any) -> str:
        asked = said(request)
        whole = " ".join(part.text for message in request.messages for part in message.parts if part.type == "text")
        if "[Turn" not in asked:
            return fields(note="noted")
        if "Turn 1 of" in asked and "`question`" in asked:
            number = int(asked.split("question `")[0].rpartition("the number is ")[2].split()[0])
            return turn("1 / 0" if number in slow else "print('found', context.split()[-1])", f"Number {number}.")
        if "ZeroDivisionError" in asked:
            return turn("print('found', context.split()[-1])", "Mended.")
        if "found" in asked:
            number = int(asked.partition("found ")[2].split()[0])
            return turn(f"SUBMIT(finding='{0 if number in wrong else number}')", "Found it.")
        assert "`finding`" in whole
        return turn("SUBMIT(answer=finding)", "Passed on.")

    return ScriptedLM(answer)


def exact(gold: Any, pred: Any, trace: Any = None) -> float:
    """Whether the answer is right."""
    return float(gold.answer == pred.answer)
