"""A run that is stopped half-way goes on, without paying again. Needs no key: `python examples/go_on.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import dspy

from rlm_module import RLM, Budget, OfflineLM

LINES = [f"{n % 24:02}:{n % 60:02} gate {n % 7} {'open' if n % 3 else 'shut'}" for n in range(50_000)]
LINES.append("23:59 the code of gate 5 is HERON-12")


class StoppedLM(OfflineLM):
    """Is stopped at its third call, as by Ctrl-C."""

    calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls == 3:
            raise KeyboardInterrupt
        return super().__call__(*args, **kwargs)


def main() -> str:
    with tempfile.TemporaryDirectory() as journal:
        rlm = RLM("log: str, question: str -> answer", journal=journal, budget=Budget(tokens=1_000_000, seconds=600))
        try:
            with dspy.context(lm=StoppedLM()):
                rlm(log="\n".join(LINES), question="What is the code of gate 5?")
        except KeyboardInterrupt:
            print("Stopped; going on.")
        (run,) = Path(journal).iterdir()
        with dspy.context(lm=OfflineLM()):
            pred = rlm.resume(run)
        answer: str = pred.answer
        return answer


if __name__ == "__main__":
    print(main())
