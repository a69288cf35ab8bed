"""An RLM between a retriever and a verifier. Needs no key: `python examples/pipeline.py`.

With a model: `python examples/pipeline.py openai/gpt-5`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import dspy

from rlm_module import RLM, OfflineLM
from rlm_module.signatures import Documents

MANUALS = {
    f"pump-{n:03}.txt": "\n".join(f"{line:04}: pump {n} ran at {line * 37 % 100} per cent" for line in range(500))
    for n in range(200)
}
MANUALS["pump-142.txt"] += "\nPump 142 is switched off by the red lever behind the boiler."


class Look(dspy.Signature):
    """Answer the question from the documents, and copy the sentence that says so."""

    documents: Documents = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField()
    evidence: str = dspy.OutputField()


class Verify(dspy.Signature):
    """Say whether the passage bears the answer out."""

    passage: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.InputField()
    is_supported: bool = dspy.OutputField()


class Pipeline(dspy.Module):
    """Looks into the manuals that share words with the question; into all of them where that is not enough."""

    def __init__(self, manuals: Mapping[str, str]) -> None:
        super().__init__()
        self.manuals = Documents(manuals)  # a Documents prints as a summary, wherever an optimizer shows the program
        self.look = RLM(Look)
        self.verify = dspy.Predict(Verify)

    def forward(self, question: str) -> dspy.Prediction:
        manuals = self.manuals.texts()
        for found in (retrieved(manuals, question), manuals):
            answer = self.look(documents=found, question=question)
            verdict = self.verify(passage=answer.evidence, question=question, answer=answer.answer)
            if verdict.is_supported:
                break
        return dspy.Prediction(answer=answer.answer, is_supported=verdict.is_supported)


def retrieved(manuals: Mapping[str, str], question: str, most: int = 5) -> dict[str, str]:
    """The manuals that hold most of the question's words; any retriever will do."""
    words = [word.strip("?.,").lower() for word in question.split()]
    by_words = sorted(manuals, key=lambda name: -sum(f" {word} " in manuals[name].lower() for word in words))
    return {name: manuals[name] for name in by_words[:most]}


def main(lm: dspy.LM | None = None) -> tuple[str, bool]:
    with dspy.context(lm=lm or OfflineLM()):
        prediction = Pipeline(MANUALS)(question="Where is the lever that pump 142 is switched off by?")
    return str(prediction.answer), bool(prediction.is_supported)


if __name__ == "__main__":
    print(main(*map(dspy.LM, sys.argv[1:2])))
