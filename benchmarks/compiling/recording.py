"""What it costs to record a run for a reflection model: capturing its events, rendering and diagnosing them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import dspy

from benchmarks.compiling.compilers import silence
from benchmarks.compiling.messages import Message, model
from rlm_module import RLM, capture_runs
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import turn as cell

TURNS = (10, 30, 100)
_PRINTED, _SUB_CALL = "line of what a cell prints " * 20, "What do the notes say?"


@dataclass(frozen=True, slots=True)
class Cost:
    """What recording a run of so many turns took, a sample a repeat.

    Args:
        turns: The turns.
        seconds: Processor time of rendering and diagnosing. A run keeps its events in any case, so this is all that
            recording adds, but for an entry in a list.
        difference: By how much a whole run was longer, in processor time, than one beside it that was not recorded.
    """

    turns: int
    seconds: tuple[float, ...]
    difference: tuple[float, ...]

    @property
    def a_turn(self) -> float:
        """The median, in seconds a turn."""
        return statistics.median(self.seconds) / self.turns


def costs(repeats: int) -> list[Cost]:
    """The cost at each length, lengths taking turns so that a drift of the machine meets all alike."""
    with silence():
        _recorded(TURNS[0])
        samples = [
            {turns: _recorded(turns, is_plain_first=repeat % 2 == 0) for turns in TURNS} for repeat in range(repeats)
        ]
    return [
        Cost(turns, tuple(sample[turns][0] for sample in samples), tuple(sample[turns][1] for sample in samples))
        for turns in TURNS
    ]


def _recorded(turns: int, *, is_plain_first: bool = True) -> tuple[float, float]:
    """Seconds of recording a run, and by how many it was longer than one that was not."""
    from rlm_module.optimizers import records_of

    rlm = RLM("notes -> answer", max_iters=turns, max_llm_calls=turns, interpreter_factory=FakeInterpreter)
    inputs = {"notes": "A note. " * 500}

    def plain() -> tuple[float, float]:
        began = time.process_time()
        rlm(**inputs)
        return time.process_time() - began, 0.0

    def recorded() -> tuple[float, float]:
        began = time.process_time()
        with capture_runs() as runs:
            rlm(**inputs)
        before = time.thread_time()
        records = records_of(runs, inputs)
        seconds = time.thread_time() - before
        if len(records) != 1 or records[0].diagnosis.turns != turns:
            raise RuntimeError(f"the record of {turns} turns tells of {[found.diagnosis.turns for found in records]}")
        return time.process_time() - began, seconds

    with dspy.context(lm=model(_Program(turns))):
        sides = [plain, recorded] if is_plain_first else [recorded, plain]
        took = {side: side() for side in sides}
    return took[recorded][1], took[recorded][0] - took[plain][0]


class _Program:
    """A model without latency whose every turn prints, and makes a sub-call."""

    def __init__(self, turns: int) -> None:
        self._turns = turns

    def __call__(self, messages: Sequence[Message]) -> str:
        if messages[-1].text == _SUB_CALL:
            return "They say nothing."
        turn = sum(message.role == "assistant" for message in messages) + 1
        if turn == self._turns:
            return cell("SUBMIT(answer='done')")
        return cell(f"print({turn}, llm_query({_SUB_CALL!r}))\nprint({_PRINTED!r})")
