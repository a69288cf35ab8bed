"""Finds one sentence in a text of a million characters. Needs no key: `python examples/needle.py`."""

from __future__ import annotations

import dspy

from rlm_module import RLM, OfflineLM

LOG = [f"{n:06}: pump {n % 7} ran at {n * 37 % 100} per cent" for n in range(30_000)]
LOG[21_500] = "021500: the spare key of pump 5 is behind the blue gauge"


def main() -> str:
    with dspy.context(lm=OfflineLM()):
        find = RLM("log: str, question: str -> answer: str")
        return str(find(log="\n".join(LOG), question="Where is the spare key of pump 5?").answer)


if __name__ == "__main__":
    print(main())
