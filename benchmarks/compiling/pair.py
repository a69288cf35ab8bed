"""A program of two RLMs, one of which is at fault: whose text do proposals change?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import dspy

from benchmarks.compiling.advice import Case, Piece, Place, World, drawn, score
from benchmarks.compiling.compilers import Compiler, compiled_by
from benchmarks.compiling.messages import model
from benchmarks.compiling.reflection import ReflectionModel
from benchmarks.compiling.task_model import Seen, TaskModel
from rlm_module import RLM
from tests.fake_interpreter import FakeInterpreter

Fault: TypeAlias = Literal["reader", "writer", "both"]
PARTS = ("reader", "writer")
FAULTS: tuple[Fault, ...] = ("reader", "writer", "both")
CAP = 60
"""Program runs of one compile: so few that whoever is at fault still is at the end."""

_LEARNED = re.compile(r"^\s*- ((?:Always mind|Never leave out) the \w+)\.$", re.M)


class Pair(dspy.Module):
    """A reader hands its digest to a writer."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = RLM("case, notes -> digest", interpreter_factory=FakeInterpreter)
        self.writer = RLM("case, handout -> answer", interpreter_factory=FakeInterpreter)

    def forward(self, case: str, notes: str) -> dspy.Prediction:
        digest = self.reader(case=case, notes=notes).digest
        return dspy.Prediction(answer=self.writer(case=case, handout=digest).answer)


@dataclass(frozen=True, slots=True)
class Faulty:
    """Who needs the pieces of a case, and where it shows that they are missing.

    Args:
        fault: The RLM at fault, or both.
        told: The cases in which only the metric's feedback shows it; in the others only the runs do.
    """

    fault: Fault
    told: frozenset[str]

    def owner(self, number: int) -> str:
        """Who needs a case's first or second piece."""
        return PARTS[number] if self.fault == "both" else self.fault

    def metric(self, world: World) -> Any:
        cases = world.cases()

        def judged(
            example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
        ) -> Any:
            case, answered = cases[example.case], str(getattr(prediction, "answer", "")).split()
            faults = [
                f"What `{self.owner(number)}` did is wrong: {piece.symptom}."
                for number, (piece, right) in enumerate(zip(case.needs, case.words, strict=True))
                if right not in answered and case.name in self.told
            ]
            return dspy.Prediction(score=score(example, prediction), feedback=" ".join(faults))

        return judged


class PairModel(TaskModel):
    """The task model of both RLMs.

    Args:
        world: What it knows.
        faulty: Who is at fault.
        cap: Runs of RLMs after which it refuses to begin another one.
    """

    def __init__(self, world: World, faulty: Faulty, cap: int | None = None) -> None:
        super().__init__(world, cap)
        self._faulty = faulty
        self._handed_on: dict[str, int] = {}

    def _part(self, text: str) -> str:
        return "writer" if "handout" in text else "reader"

    def _needs(self, case: Case, part: str) -> Sequence[Piece]:
        return [piece for number, piece in enumerate(case.needs) if self._faulty.owner(number) == part]

    def _shown(self, case: Case, missing: Sequence[Piece], place: Place) -> list[str]:
        return [] if case.name in self._faulty.told else super()._shown(case, missing, place)

    def _answer(self, case: Case, part: str, missing: Sequence[Piece], text: str, harms: int) -> str:
        """The reader hands on the words it is in charge of; the writer copies those, and what is too much, and adds its
        own.
        """
        words: list[str] = []
        for number, (piece, right) in enumerate(zip(case.needs, case.words, strict=True)):
            known = piece not in missing if self._faulty.owner(number) == part else right in text
            words.append(right if known else next(self._words))
        if part == "reader":
            self._handed_on[case.name] = harms
        else:
            harms += self._handed_on[case.name]
        field = "digest" if part == "reader" else "answer"
        return f"SUBMIT({field}={' '.join([*words, *self._too_many(harms)])!r})"


@dataclass(frozen=True, slots=True)
class Credit:
    """Whose text proposals changed.

    Args:
        fault: The RLM at fault, or both.
        reader: Proposals that changed the reader's.
        writer: Those that changed the writer's.
        blames: Times that the reflection model was asked who is at fault.
    """

    fault: Fault
    reader: int
    writer: int
    blames: int

    @property
    def proposals(self) -> int:
        return self.reader + self.writer


def credited(compiler: Compiler, fault: Fault, seed: int, cap: int = CAP) -> Credit:
    """Compiles the pair and counts the proposals that were tried, by the RLM whose text they changed."""
    world = drawn(seed)
    splits = (world.training, world.validation)
    faulty = Faulty(fault, frozenset(case.name for split in splits for case in split[::2]))
    task, reflection = PairModel(world, faulty, len(PARTS) * cap), ReflectionModel(world, seed)
    compiled_by(compiler, Pair(), world, faulty.metric(world), (model(task), model(reflection)), cap, seed)
    count = proposals(task.runs)
    return Credit(fault, count["reader"], count["writer"], reflection.blames)


def proposals(runs: Iterable[Seen]) -> Counter[str]:
    """How often each RLM ran with a text that it had not had before and that is not its first one."""
    texts = {(seen.part, tuple(_LEARNED.findall(seen.strategy))) for seen in runs}
    return Counter(part for part, learned in texts if learned)
