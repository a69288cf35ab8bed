"""Which part of a program a failure is put down to: evidence first, then the reflection model's word, then turns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlm_module.optimizers.evolution.components import Component, Components
from rlm_module.optimizers.evolution.rollouts import Rollout
from rlm_module.optimizers.paths import acting_predictor
from rlm_module.optimizers.trajectories.diagnosis import Diagnosis
from rlm_module.optimizers.trajectories.layout import ends
from rlm_module.optimizers.trajectories.records import RunRecord

_ENOUGH, _CLEAR = 0.75, 2.0
"""Evidence has to weigh this much, and this many times as much as that against anybody else, to decide alone."""
_NAMED, _TASK_NAMED, _FIELD_NAMED, _QUOTED, _OF_THE_ANSWER = 2.0, 1.5, 1.0, 1.0, 0.1
_NOTED = 2.0
_QUOTE_CHARS = 12
_QUOTE = re.compile(r"([`'\"])([^`'\"\n]{3,200})\1")
_ASKED_CHARS, _ASKED_EXAMPLES, _FEEDBACK_CHARS = 6_000, 3, 1_500
_ALWAYS = ("strategy", "predictor")
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


class Blame:
    """A module selector for gepa: the component that the next proposal is for.

    Args:
        components: Those of the program.
        ask: Sends the reflection model a request and returns its reply.
        is_perfect: Whether a score has nothing left to teach.
    """

    def __init__(
        self, components: Components, program: Any, ask: Callable[[str], str], is_perfect: Callable[[float], bool]
    ) -> None:
        self._components = components
        self._ask = ask
        self._is_perfect = is_perfect
        self._marks = _marks(components, program)
        self._turn = 0
        self._proposed: dict[str, int] = {}
        self._asked = 0
        self.ranking: list[str] = []
        """The component that was chosen last, then those to try where the records call for no change of it."""

    def __call__(
        self,
        state: Any,
        trajectories: Sequence[Rollout],
        subsample_scores: Sequence[float],
        candidate_idx: int,
        candidate: Mapping[str, str],
    ) -> list[str]:
        """The component to change next."""
        failed = [rollout for rollout in trajectories if not self._is_perfect(rollout.score)]
        passed = [rollout for rollout in trajectories if self._is_perfect(rollout.score)]
        usable = {owner: parts for owner in self._components.owners if (parts := self._usable(owner, failed))}
        if not usable and not any(rollout.records or rollout.steps for rollout in failed):
            usable = self._that_always_act()  # the program failed before anybody's work could be seen
        owners = self._ranked(list(usable), failed, passed)
        self.ranking = [part.name for owner in owners for part in sorted(usable[owner], key=self._waited)]
        return self.ranking[:1]

    def proposed(self, name: str) -> None:
        """A new text for a component is being tried."""
        self._turn += 1
        self._proposed[name] = self._turn

    def _waited(self, part: Component) -> int:
        return self._proposed.get(part.name, 0)

    def _usable(self, owner: str, failed: Sequence[Rollout]) -> list[Component]:
        """Components of one that acted in the runs that failed, as far as what they are for came up there."""
        records = [record for rollout in failed for record in rollout.of(owner)]
        if not records and not any(owner in rollout.steps for rollout in failed):
            return []
        return [part for part in self._components.of(owner) if _came_up(part, records)]

    def _that_always_act(self) -> dict[str, list[Component]]:
        found = {owner: self._components.of(owner) for owner in self._components.owners}
        acting = {owner: [part for part in parts if part.kind in _ALWAYS] for owner, parts in found.items()}
        return {owner: parts for owner, parts in acting.items() if parts}

    def _ranked(self, owners: list[str], failed: Sequence[Rollout], passed: Sequence[Rollout]) -> list[str]:
        """Owners, the one to blame first; those of equal evidence in the order in which they last had their turn."""
        in_turn = sorted(owners, key=lambda o: max((self._waited(part) for part in self._components.of(o)), default=0))
        if len(owners) < 2:
            return in_turn
        points = {owner: self._points(owner, failed, passed) for owner in owners}
        most = max(points.values())
        if most < _ENOUGH:
            suspects = self._opinion(in_turn, failed)
            return [*suspects, *(owner for owner in in_turn if owner not in suspects)]
        suspects = [owner for owner in in_turn if points[owner] * _CLEAR > most]
        return [*suspects, *sorted((o for o in in_turn if o not in suspects), key=lambda o: -points[o])]

    def _points(self, owner: str, failed: Sequence[Rollout], passed: Sequence[Rollout]) -> float:
        """How much speaks against one, in the mean of the runs that failed, beyond what those that passed show too."""
        against, usual = (_mean(self._evidence(owner, r) for r in runs) for runs in (failed, passed))
        return max(0.0, against - usual)

    def _evidence(self, owner: str, rollout: Rollout) -> float:
        trouble = max((_trouble(record.diagnosis) for record in rollout.of(owner)), default=0.0)
        return trouble + self._mentioned(owner, rollout) + _noted(owner, rollout)

    def _mentioned(self, owner: str, rollout: Rollout) -> float:
        """How clearly the feedback means one."""
        marks, said = self._marks[owner], rollout.feedback
        if any(_has_word(said, name) for name in marks.names):
            return _NAMED
        if marks.task and _has_word(said, marks.task):
            return _TASK_NAMED
        fields = max((_field_named(said, name, rollout.answer) for name in marks.fields), default=0.0)
        return max(fields, self._quoted(owner, rollout))

    def _quoted(self, owner: str, rollout: Rollout) -> float:
        """Whether the feedback quotes what this one gave and no other one did."""
        others = [told for other in self._components.owners if other != owner for told in _gave(other, rollout)]
        quotes = {found.group(2).strip() for found in _QUOTE.finditer(rollout.feedback)}
        own = _gave(owner, rollout)
        whole = {told for told in own if len(told) >= _QUOTE_CHARS and told in rollout.feedback}
        found = {q for q in quotes if any(q in told for told in own)} | whole
        found = {quote for quote in found if not any(quote in told for told in others)}
        if not found:
            return 0.0
        return _OF_THE_ANSWER if all(quote in rollout.answer for quote in found) else _QUOTED

    def _opinion(self, owners: list[str], failed: Sequence[Rollout]) -> list[str]:
        """Whom the reflection model names; nobody where its reply cannot be used."""
        if not failed:
            return []
        shift = self._asked % len(owners)
        self._asked += 1
        listed = owners[shift:] + owners[:shift]
        names = {owner: owner or "program" for owner in owners}
        reply = self._ask(_question([(names[o], _shown(o, failed)) for o in listed], failed))
        named = _named(reply, list(names.values()))
        return [owner for owner in owners if names[owner] in named]


def _marks(components: Components, program: Any) -> dict[str, Marks]:
    signatures: dict[str, Any] = {owner: rlm.signature for owner, rlm in components.rlms.items()}
    signatures |= {name: p.signature for name, p in program.named_predictors() if name in components.predictors}
    marks: dict[str, Marks] = {}
    for owner, signature in signatures.items():
        others = {name for other, found in signatures.items() if other != owner for name in found.fields}
        names = (
            {owner, f"self.{owner}", acting_predictor(owner), re.split(r"[.\[]", owner)[-1]} if owner else set[str]()
        )
        task = signature.__name__ if signature.__name__ not in _GENERIC else ""
        unique = task if sum(found.__name__ == task for found in signatures.values()) == 1 else ""
        marks[owner] = Marks(frozenset(names - {""}), unique, frozenset(set(signature.fields) - others))
    return marks


def _came_up(part: Component, records: Sequence[RunRecord]) -> bool:
    if part.kind == "extract":
        return any(record.diagnosis.fell_back for record in records)
    if part.kind == "tools":
        return any(f"{part.tool}(" in record.text for record in records)
    if part.kind == "sub_calls":
        return any(record.diagnosis.sub_calls for record in records)
    return True


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
    """How clearly a text means a field. The program's own outputs are words that any feedback may use."""
    marked = rf"[`'\"]{re.escape(name)}[`'\"]|\b(?:field|output|input)s?\s+{re.escape(name)}\b|\b{re.escape(name)}\s*="
    if re.search(marked, text, re.IGNORECASE):
        return _FIELD_NAMED
    if not _has_word(text, name):
        return 0.0
    return _OF_THE_ANSWER if re.search(rf"^{re.escape(name)}: ", answer, re.MULTILINE) else _FIELD_NAMED


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(word)}(?![\w])", text, re.IGNORECASE) is not None


def _shown(owner: str, failed: Sequence[Rollout]) -> str:
    room = _ASKED_CHARS // min(_ASKED_EXAMPLES, len(failed))
    told: list[str] = []
    for number, rollout in enumerate(failed[:_ASKED_EXAMPLES], 1):
        texts = [record.text for record in rollout.of(owner)] or [rollout.steps.get(owner, "It did not run.")]
        told.append(f"Example {number}:\n{ends(chr(10).join(texts), room)}")
    return "\n".join(told)


def _question(shown: Sequence[tuple[str, str]], failed: Sequence[Rollout]) -> str:
    said = [
        f"Example {n}: score {r.score:g}. {ends(r.fault or r.feedback, _FEEDBACK_CHARS)}"
        for n, r in enumerate(failed[:_ASKED_EXAMPLES], 1)
    ]
    names = ", ".join(f"`{name}`" for name, _ in shown)
    return "\n\n".join(
        [
            "A program did not do well on some examples. Several parts of it acted; which of them is at fault, so that "
            "its instructions should change?",
            "What was said of the results:\n" + "\n".join(said),
            *(f"--- What `{name}` did ---\n{text}" for name, text in shown),
            f"--- End ---\n\nThe parts are {names}. Reply with the name of the one at fault, and nothing else; name "
            "several only if they are equally at fault.",
        ]
    )


def _named(reply: str, names: Sequence[str]) -> set[str]:
    """The names in the last line of a reply that has any; none where that is all of them."""
    for line in reversed(reply.strip().splitlines()):
        found = {name for name in names if _has_word(line, name)}
        if found:
            return found
    return set()


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
