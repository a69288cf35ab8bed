"""`python benchmarks/memory_arms.py`: which ways of answering from a memory find what a generated history holds.

A simulated root knows the question's words only, and a simulated reader understands all that it is handed, of eight
sessions at most. The table goes to standard output and progress to standard error. The last line names what was not
reached, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, Python looks beside the script only

import dspy

from benchmarks.memory_model import SimulatedModel, simulated_lm
from benchmarks.memory_reader import SimulatedReader
from benchmarks.memory_root import SESSIONS_READ
from rlm_module.memory.arms import PromptArm
from rlm_module.memory.evaluation import (
    ArmReport,
    ArmResults,
    ExactMatch,
    GeneratedQuestion,
    ResultsFolder,
    Verdict,
    ask,
    case_of,
    fresh_arm,
    generate,
    is_right,
    report,
    table,
)

if TYPE_CHECKING:
    from rlm_module.memory import Turn, UserMemory

TOOLS_ARMS = ("tools", "delegation", "observations")
NAMES = ("random", "full_history", "bm25", "rlm", *TOOLS_ARMS, "oracle")
ERROR_RATE = 0.1
_WINDOW_TOKENS = 30_000

_NOTES = f"""\
100 questions unless told otherwise, each about a history of its own of 50 sessions. Accuracy is exact match; abstaining
is right where the history does not answer. Evidence is compared turn by turn.
- random: the turns of {SESSIONS_READ} sessions drawn by lot. full_history: the latest {_WINDOW_TOKENS:,} tokens.
  bm25: the best {SESSIONS_READ} turns of one search for the question. oracle: the sessions that hold the answer.
- rlm, tools, delegation, observations: a root that searches by other words for those of the question."""


class RandomSessions(PromptArm):
    """Answers from sessions drawn by lot."""

    def chosen(self, memory: UserMemory, question: str) -> list[Turn]:
        lines = memory.list_sessions(limit=1_000).items
        drawn = Random(question).sample(lines, min(SESSIONS_READ, len(lines)))
        return [turn for line in drawn for turn in memory.get_session(line.id).turns]


@dataclass(frozen=True, slots=True)
class Floor:
    """What a figure of an arm must reach.

    Args:
        figure: What it is called.
        of: Reads it from a report.
        least: What it must reach at least.
        most: What it must not exceed.
    """

    figure: str
    of: Callable[[ArmReport], float | None]
    least: float = 0.0
    most: float = 1.0

    def miss(self, found: ArmReport) -> str | None:
        """In words, what was missed; None where nothing was."""
        value = self.of(found)
        if value is not None and self.least <= value <= self.most:
            return None
        wanted = f"≥ {self.least:.0%}" if self.least else f"≤ {self.most:.0%}"
        return f"{found.arm}: {self.figure} is {'none' if value is None else f'{value:.1%}'}, must be {wanted}"


_OF_TOOLS = (
    Floor("accuracy", lambda found: found.micro.value, least=0.95),
    Floor("evidence precision", lambda found: found.turn_precision, least=0.95),
    Floor("evidence recall", lambda found: found.turn_recall, least=0.9),
    Floor("false abstention", lambda found: found.false_abstention.value, most=0.02),
)
FLOORS: Mapping[str, tuple[Floor, ...]] = {
    **dict.fromkeys(TOOLS_ARMS, _OF_TOOLS),
    "random": (Floor("accuracy", lambda found: found.micro.value, most=0.4),),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and returns the exit status.

    Args:
        arguments: The command line; default: that of the process.
    """
    options = _parse(arguments)
    warnings.simplefilter("ignore")
    for name in ("dspy", "rlm_module"):
        logging.getLogger(name).setLevel(logging.ERROR)
    questions = list(generate(seed=options.seed, questions=options.questions, sessions=options.sessions))
    missed: list[str] = []
    for rate in (0.0, options.error_rate):
        print(f"\nReader: {f'errs at {rate:.0%} of what it reads' if rate else 'perfect'}\n")
        reports = [measure(arm, questions, rate, options.threads) for arm in options.only or NAMES]
        print(table(reports), flush=True)
        if not rate:
            missed = misses(reports)
    print(f"\n{_NOTES}\n")
    print(f"miss: {'; '.join(missed)}" if missed else "all figures of the arms reached", flush=True)
    return 1 if missed else 0


def misses(reports: Sequence[ArmReport]) -> list[str]:
    """What arms did not reach."""
    found = [floor.miss(one) for one in reports for floor in FLOORS.get(one.arm, ())]
    return [miss for miss in found if miss is not None]


def measure(arm: str, questions: Sequence[GeneratedQuestion], error_rate: float, threads: int = 2) -> ArmReport:
    """Puts questions to an arm.

    Args:
        arm: One of `NAMES`.
        questions: The questions.
        error_rate: That of the reader.
        threads: Questions at once.
    """
    with tempfile.TemporaryDirectory(prefix="rlm-benchmark-") as folder:
        results = ResultsFolder(Path(folder), {}).arm(arm)
        with ThreadPoolExecutor(threads) as pool:
            for number, _ in enumerate(pool.map(partial(_settle, arm, error_rate, results), questions), 1):
                if number % 20 == 0 or number == len(questions):
                    print(f"memory: {arm}: {number} of {len(questions)}", file=sys.stderr, flush=True)
        cases = [case_of(question.record) for question in questions]
        return report(arm, {case.id: case.key for case in cases}, results)


def _settle(arm: str, error_rate: float, results: ArmResults, question: GeneratedQuestion) -> None:
    case = case_of(question.record)
    model = SimulatedModel(SimulatedReader(question, error_rate))
    with dspy.context(lm=simulated_lm(model.reply)):
        answer = ask(case, _maker(arm), evidence_only=arm == "oracle")
    results.answer(answer)
    results.judge(Verdict(question_id=case.id, is_right=is_right(case, answer, ExactMatch())))


def _maker(arm: str) -> Callable[[], Any]:
    if arm == "random":
        return partial(fresh_arm, RandomSessions)
    options: dict[str, dict[str, Any]] = {
        "full_history": {"window_tokens": _WINDOW_TOKENS},
        "bm25": {"k": SESSIONS_READ},
    }
    return partial(fresh_arm, arm, **options.get(arm, {}))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/memory_arms.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--questions", type=int, default=100, metavar="N")
    parser.add_argument("--sessions", type=int, default=50, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="questions at once (default: 2)")
    parser.add_argument("--error-rate", type=float, default=ERROR_RATE, metavar="SHARE")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="ARM", help=f"some of: {', '.join(NAMES)}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
