"""Best of n, and the answer that most runs agree on. Needs no key: `python examples/best_of_n.py`.

With a model: `python examples/best_of_n.py openai/gpt-5-mini`. Each run draws anew, in its sub-calls, too.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import dspy

from rlm_module import RLM, OfflineLM

LINES = [f"{n:06}: gate {n % 7} was {'open' if n % 3 else 'shut'}" for n in range(20_000)]
LOG = "\n".join([*LINES, "020000: the code of gate 5 is HERON-12"])
QUESTION = "What is the code of gate 5?"


class HastyLM(OfflineLM):
    """Guesses in every second of its samples instead of looking."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.kwargs.get("rollout_id", 1) % 2 == 0:
            guess = f"GUESS-{self.kwargs['rollout_id']}"
            return [f"[[ ## reasoning ## ]]\nI guess.\n\n[[ ## code ## ]]\nSUBMIT(answer={guess!r})"]
        return super().__call__(*args, **kwargs)


def is_in_the_log(inputs: dict[str, Any], prediction: dspy.Prediction) -> float:
    """A check that needs no gold answer: whether the answer stands in the log at all."""
    return float(prediction.answer in inputs["log"])


def agreed(rlm: dspy.Module, runs: int, **inputs: Any) -> str:
    """Self-consistency: the answer of most of some runs, which `BestOfN` makes while none is good enough for it."""
    answers = Counter[str]()

    def counted(_: dict[str, Any], prediction: dspy.Prediction) -> float:
        answers[prediction.answer] += 1
        return 0.0

    dspy.BestOfN(rlm, N=runs, reward_fn=counted, threshold=1.0)(**inputs)
    return answers.most_common(1)[0][0]


def main(lm: dspy.LM | None = None) -> tuple[str, str]:
    rlm = RLM("log, question -> answer")
    with dspy.context(lm=lm or HastyLM(), trace=[]):
        best = dspy.BestOfN(rlm, N=3, reward_fn=is_in_the_log, threshold=1.0)
        return str(best(log=LOG, question=QUESTION).answer), agreed(rlm, 5, log=LOG, question=QUESTION)


if __name__ == "__main__":
    print(main(*map(dspy.LM, sys.argv[1:2])))
