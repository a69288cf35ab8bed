"""Counts labelled records and gives the answer its type. Needs no key: `python examples/count_labels.py`."""

from __future__ import annotations

import dspy

from rlm_module import RLM, OfflineLM

RECORDS = [
    f"2025-{1 + n // 27 % 12:02}-{1 + n % 28:02} | u_{n % 9} | {('refund', 'bug', 'praise')[n // 9 % 3]} | message {n}"
    for n in range(20_000)
]


class Count(dspy.Signature):
    """Count records of customers."""

    records: list[str] = dspy.InputField()
    question: str = dspy.InputField()
    count: int = dspy.OutputField()


def main() -> int:
    with dspy.context(lm=OfflineLM()):
        pred = RLM(Count)(records=RECORDS, question="How many records of user u_3 are labelled 'refund' in March 2025?")
        count: int = pred.count
        return count


if __name__ == "__main__":
    print(main())
