"""Which ways of answering from a memory find what a generated history holds, with a simulated root and reader.

The root knows the question's words only; the reader understands all that it is handed, of eight sessions at most.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import dspy

from benchmarks.figures import Aim, Figure
from benchmarks.measure import Say
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
    ask,
    case_of,
    fresh_arm,
    generate,
    report,
    table,
    verdict_on,
)

if TYPE_CHECKING:
    from rlm_module.memory import Turn, UserMemory

TOOLS_ARMS = ("tools", "delegation", "observations")
NAMES = ("random", "full_history", "bm25", "rlm", *TOOLS_ARMS, "oracle")
_WINDOW_TOKENS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked.

    Args:
        questions: How many questions.
        sessions: Sessions of each one's history.
        seed: Chooses the set.
        error_rate: That of the reader that errs.
        threads: Questions at once.
        arms: Which arms.
    """

    questions: int = 100
    sessions: int = 50
    seed: int = 0
    error_rate: float = 0.1
    threads: int = 2
    arms: tuple[str, ...] = NAMES


class RandomSessions(PromptArm):
    """Answers from sessions drawn by lot."""

    def chosen(self, memory: UserMemory, question: str) -> list[Turn]:
        lines = memory.list_sessions(limit=1_000).items
        drawn = Random(question).sample(lines, min(SESSIONS_READ, len(lines)))
        return [turn for line in drawn for turn in memory.get_session(line.id).turns]


_Of = Callable[[ArmReport], float | None]
_OF_TOOLS: tuple[tuple[str, float | None, float | None, _Of], ...] = (
    ("accuracy", 95, None, lambda found: found.micro.value),
    ("evidence precision", 95, None, lambda found: found.turn_precision),
    ("evidence recall", 90, None, lambda found: found.turn_recall),
    ("false abstention", None, 2, lambda found: found.false_abstention.value),
)
_LIMITS: Mapping[str, tuple[tuple[str, float | None, float | None, _Of], ...]] = {
    "random": (("accuracy", None, 40, lambda found: found.micro.value),),
    **dict.fromkeys(TOOLS_ARMS, _OF_TOOLS),
}


def figures(asked: Asked, say: Say, show: Say) -> Iterator[Figure]:
    """Puts the questions to all arms, with a perfect reader and with one that errs; the first has limits.

    Args:
        asked: What is asked.
        say: Told of progress.
        show: Told a table of each reader's arms.
    """
    questions = list(generate(seed=asked.seed, questions=asked.questions, sessions=asked.sessions))
    for rate in (0.0, asked.error_rate):
        reports = [measure(arm, questions, rate, asked.threads, say) for arm in asked.arms]
        reader = f"reader that errs at {rate:.0%} of what it reads" if rate else "perfect reader"
        show(f"{asked.questions} questions, {asked.sessions} sessions each, {reader}\n\n{table(reports)}\n")
        if not rate:
            yield from (figure for found in reports for figure in judged(found))


def judged(found: ArmReport) -> Iterator[Figure]:
    """The figures of an arm that have limits, in percent."""
    for name, least, most, of in _LIMITS.get(found.arm, ()):
        value = of(found)
        aim = Aim(f"{found.arm}-{name.replace(' ', '-')}", f"{found.arm}: {name}", "%", least, most)
        yield Figure(aim, None if value is None else 100 * value, "no answer has any" if value is None else None)


def measure(arm: str, questions: Sequence[GeneratedQuestion], error_rate: float, threads: int, say: Say) -> ArmReport:
    """Puts questions to an arm.

    Args:
        arm: One of `NAMES`.
        questions: The questions.
        error_rate: That of the reader.
        threads: Questions at once.
        say: Told of progress.
    """
    with tempfile.TemporaryDirectory(prefix="rlm-benchmark-") as folder:
        results = ResultsFolder(Path(folder), {}).arm(arm)
        with ThreadPoolExecutor(threads) as pool:
            for number, _ in enumerate(pool.map(partial(_settle, arm, error_rate, results), questions), 1):
                if number % 20 == 0 or number == len(questions):
                    say(f"{arm}: {number} of {len(questions)}")
        cases = [case_of(question.record) for question in questions]
        return report(arm, {case.id: case.key for case in cases}, results)


def _settle(arm: str, error_rate: float, results: ArmResults, question: GeneratedQuestion) -> None:
    case = case_of(question.record)
    model = SimulatedModel(SimulatedReader(question, error_rate))
    with dspy.context(lm=simulated_lm(model.reply)):
        answer = ask(case, _maker(arm), evidence_only=arm == "oracle")
    results.answer(answer)
    results.judge(verdict_on(case, answer, ExactMatch()))


def _maker(arm: str) -> Callable[[], Any]:
    if arm == "random":
        return partial(fresh_arm, RandomSessions)
    options: dict[str, dict[str, Any]] = {
        "full_history": {"window_tokens": _WINDOW_TOKENS},
        "bm25": {"k": SESSIONS_READ},
    }
    return partial(fresh_arm, arm, **options.get(arm, {}))
