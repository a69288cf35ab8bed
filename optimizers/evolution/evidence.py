"""What speaks against one part of a program: how its own runs went, and whom the feedback means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.rollouts import Rollout
from rlm_module.optimizers.paths import acting_predictor
from rlm_module.optimizers.trajectories.diagnosis import Diagnosis

_NAMED, _TASK_NAMED, _FIELD_NAMED, _QUOTED, _OF_THE_ANSWER, _NOTED = 2.0, 1.5, 1.0, 1.0, 0.1, 2.0
"""What a feedback weighs that names one, its task, or a field of it, quotes it, or means it alone; a run that failed in
one way weighs about 1."""
_QUOTE_CHARS = 12
_QUOTE = re.compile(r"([`'\"])([^`'\"\n]{3,200})\1")
_LAST_NAME = re.compile(r"(?:^|\.|\[')([^.\[\]']+)(?:'\])?$")
_GENERIC = {"StringSignature", "Signature"}


@dataclass(frozen=True, slots=True)
class Marks:
    """By what words a feedback can mean one RLM or predictor.

    Args:
        names: Its place in the program, and its predictors'.
        task: Its signature's name; empty where it has none of its own.
        fields: Fields of its signature that no other one has.
    """

    names: frozenset[str]
    task: str
    fields: frozenset[str]


class Evidence:
    """What speaks against the parts of a program.

    Args:
        components: The program's texts, whose owners its parts are.
        program: It.
    """

    def __init__(self, components: Components, program: dspy.Module) -> None:
        self._owners = components.owners
        self._marks = _marks(components, program)

    def points(self, owner: str, failed: Sequence[Rollout], passed: Sequence[Rollout]) -> float:
        """How much speaks against one, in the mean of the runs that failed, beyond what those that passed show too.

        Args:
            owner: Where it stands in the program.
            failed: Runs that did not go well.
            passed: Runs that did.
        """
        against, usual = (_mean(self._in_run(owner, r) for r in runs) for runs in (failed, passed))
        return max(0.0, against - usual)

    def _in_run(self, owner: str, rollout: Rollout) -> float:
        trouble = max((_trouble(record.diagnosis) for record in rollout.of(owner)), default=0.0)
        return trouble + self._mentioned(owner, rollout) + _noted(owner, rollout)

    def _mentioned(self, owner: str, rollout: Rollout) -> float:
        """How clearly the feedback means one."""
        marks, said = self._marks[owner], rollout.feedback
        if any(has_word(said, name) and not _is_output(name, rollout.answer) for name in marks.names):
            return _NAMED
        if marks.task and has_word(said, marks.task):
            return _TASK_NAMED
        fields = max((_field_named(said, name, rollout.answer) for name in marks.fields), default=0.0)
        return max(fields, self._quoted(owner, rollout))

    def _quoted(self, owner: str, rollout: Rollout) -> float:
        """Whether the feedback quotes what this one gave and no other one did."""
        others = [told for other in self._owners if other != owner for told in _gave(other, rollout)]
        quotes = {found.group(2).strip() for found in _QUOTE.finditer(rollout.feedback)}
        own = _gave(owner, rollout)
        whole = {told for told in own if len(told) >= _QUOTE_CHARS and told in rollout.feedback}
        found = {q for q in quotes if any(q in told for told in own)} | whole
        found = {quote for quote in found if not any(quote in told for told in others)}
        if not found:
            return 0.0
        return _OF_THE_ANSWER if all(quote in rollout.answer for quote in found) else _QUOTED


def _marks(components: Components, program: dspy.Module) -> dict[str, Marks]:
    signatures: dict[str, Any] = {owner: rlm.signature for owner, rlm in components.rlms.items()}
    signatures |= {name: p.signature for name, p in program.named_predictors() if name in components.predictors}
    tasks = [signature.__name__ for signature in signatures.values()]
    marks: dict[str, Marks] = {}
    for owner, signature in signatures.items():
        others = {name for other, found in signatures.items() if other != owner for name in found.fields}
        task = signature.__name__
        is_own = task not in _GENERIC and tasks.count(task) == 1
        marks[owner] = Marks(_names(owner), task if is_own else "", frozenset(signature.fields) - others)
    return marks


def _names(owner: str) -> frozenset[str]:
    """What one may be called; nothing where it is the program."""
    place = re.sub(r"(?:^|\.)predict$", "", owner)  # as dspy calls the predictor of a ChainOfThought
    if not place:
        return frozenset()
    last = _LAST_NAME.search(place)  # an item of a list has none
    return frozenset({owner, place, f"self.{place}", acting_predictor(owner), last[1] if last else place})


def _trouble(found: Diagnosis) -> float:
    """How badly a run went by itself, whatever came of it; about 1 for one that failed in one way."""
    turns = max(1, found.turns)
    return (
        (1.0 if found.reason != "submitted" else 0.0)
        + (0.5 if found.fell_back else 0.0)
        + 1.5 * min(1.0, 2 * found.failed_cells / turns)
        + 1.0 * min(1.0, found.failed_sub_calls / max(1, found.sub_calls))
        + 0.5 * min(1.0, 2 * (found.repeated_turns + found.empty_turns + found.refused_submissions) / turns)
    )


def _noted(owner: str, rollout: Rollout) -> float:
    """Whether the metric had something to say of this one alone."""
    said = [name for name, note in rollout.notes.items() if note.strip()]
    return _NOTED if set(said) == {owner} else 0.0


def _gave(owner: str, rollout: Rollout) -> list[str]:
    """What the runs of an RLM ended with, or what a predictor gave."""
    texts = [record.text.rpartition("Answer: ")[2] for record in rollout.of(owner)]
    if owner in rollout.steps:
        texts.append(rollout.steps[owner].rpartition("Gave:\n")[2])
    pieces = (piece for text in texts for piece in re.split(r"\n|, (?=\w+=)", text))
    return [told for piece in pieces if (told := re.sub(r"^\w+(?:=|: )", "", piece).strip("'\" "))]


def _field_named(text: str, name: str, answer: str) -> float:
    """How clearly a text means a field."""
    marked = rf"[`'\"]{re.escape(name)}[`'\"]|\b(?:field|output|input)s?\s+{re.escape(name)}\b|\b{re.escape(name)}\s*="
    if re.search(marked, text, re.IGNORECASE):
        return _FIELD_NAMED
    if not has_word(text, name):
        return 0.0
    return _OF_THE_ANSWER if _is_output(name, answer) else _FIELD_NAMED


def _is_output(name: str, answer: str) -> bool:
    """Whether the program has an output of that name, which is a word that any feedback may use."""
    return re.search(rf"^{re.escape(name)}: ", answer, re.MULTILINE) is not None


def has_word(text: str, word: str) -> bool:
    """Whether a text holds a word, or what stands for one."""
    return re.search(rf"(?<![\w.]){re.escape(word)}(?![\w])", text, re.IGNORECASE) is not None


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
