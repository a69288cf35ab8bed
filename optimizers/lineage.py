"""What a compile found and what it took: candidates with their parents and scores, and what was dropped on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rlm_module.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One set of texts for the program's components.

    Args:
        number: Its place among the candidates; 0 is the program as it was given.
        parents: The candidates it was made from; empty for the first.
        texts: Its text for each component.
        changed: The components in which it differs from its first parent.
        scores: The validation examples it was run on, by their index, with its score on each.
        score: The mean of these.
        cost_usd: Mean cost of a program run in US dollars, over the validation examples that it can be compared on;
            None where a price is not known.
        seconds: Mean wall time of a program run.
    """

    number: int
    parents: tuple[int, ...] = ()
    texts: Mapping[str, str]
    changed: tuple[str, ...] = ()
    scores: Mapping[int, float] = field(default_factory=dict[int, float])
    score: float
    cost_usd: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """A proposed text that was not tried.

    Args:
        component: What it was proposed for.
        text: The text, shortened where it is an essay.
        faults: Why it was dropped, a sentence each.
    """

    component: str
    text: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """The record of a compile, as `program.compilation` holds it.

    Args:
        candidates: Every candidate that was accepted, in order; the first is the program as it was given.
        best: The number of the one that was returned.
        front: The numbers of those that no other beats in score, cost and time at once.
        dropped: Proposals that were not tried.
        runs: Program runs, those answered from the journal of an earlier, unfinished compile included.
        reflections: Calls of the reflection model.
        cost_usd: What both cost together in US dollars; None where a price is not known.
        reflection_cost_usd: The part of the reflection model.
        stopped: Why it ended, in a few words.
        train: The number of training examples.
        val: The number of validation examples; a candidate with as many scores was validated in full.
        data: Hash of the examples.
    """

    candidates: tuple[Candidate, ...]
    best: int
    front: tuple[int, ...]
    dropped: tuple[Dropped, ...]
    runs: int
    reflections: int
    cost_usd: float | None
    reflection_cost_usd: float | None
    stopped: str
    train: int = 0
    val: int = 0
    data: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Compilation:
        """Takes back what `to_json` gave, also after it went through a file.

        Raises:
            InputError: If it is no record of a compile.
        """
        try:
            known = {name: state[name] for name in _names(cls) if name in state}
            candidates = tuple(_candidate(found) for found in known.pop("candidates"))
            dropped = tuple(Dropped(d["component"], d["text"], tuple(d["faults"])) for d in known.pop("dropped"))
            front = tuple(int(number) for number in known.pop("front"))
            return cls(candidates=candidates, dropped=dropped, front=front, **known)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"This is no record of a compile ({error}); compile the program anew.") from None


def _candidate(state: Mapping[str, Any]) -> Candidate:
    known = {name: state[name] for name in _names(Candidate) if name in state}
    known["parents"] = tuple(int(number) for number in state["parents"])
    known["changed"] = tuple(str(name) for name in state["changed"])
    known["texts"] = dict(state["texts"])
    known["scores"] = {int(index): float(score) for index, score in state["scores"].items()}  # JSON has text keys only
    return Candidate(**known)


def _names(kind: type[Candidate | Compilation]) -> list[str]:
    return [field.name for field in fields(kind)]


def non_dominated(candidates: Sequence[Candidate]) -> tuple[int, ...]:
    """The numbers of those that no other one equals or beats in score, cost and time at once, in order.

    A cost that is not known counts as the highest. Of equals the first is kept.
    """
    return tuple(
        c.number for c in candidates if not any(_dominates(other, c) for other in candidates if other is not c)
    )


def _dominates(one: Candidate, other: Candidate) -> bool:
    a, b = _marks(one), _marks(other)
    return all(x >= y for x, y in zip(a, b, strict=True)) and (a != b or one.number < other.number)


def _marks(candidate: Candidate) -> tuple[float, float, float]:
    cost = float("inf") if candidate.cost_usd is None else candidate.cost_usd
    return candidate.score, -cost, -candidate.seconds
