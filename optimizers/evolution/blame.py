"""Which part of a program a failure is put down to: evidence first, then the reflection model's word, then turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlm_module.optimizers.evolution.components import Component, Components
from rlm_module.optimizers.evolution.evidence import Evidence, has_word
from rlm_module.optimizers.evolution.rollouts import Rollout
from rlm_module.optimizers.shortening import ends
from rlm_module.optimizers.trajectories.records import RunRecord

_ENOUGH, _CLEAR = 0.75, 2.0
"""Evidence has to weigh this much, and this many times as much as that against anybody else, to decide alone."""
_ASKED_CHARS, _ASKED_EXAMPLES, _FEEDBACK_CHARS = 6_000, 3, 1_500
_ALWAYS = ("strategy", "predictor")


class Blame:
    """A module selector for gepa: the component that the next proposal is for.

    Args:
        components: Those of the program.
        evidence: What speaks against those that own them.
        ask: Sends the reflection model a request and returns its reply.
        is_perfect: Whether a score has nothing left to teach.
    """

    def __init__(
        self, components: Components, evidence: Evidence, ask: Callable[[str], str], is_perfect: Callable[[float], bool]
    ) -> None:
        self._components = components
        self._ask = ask
        self._is_perfect = is_perfect
        self._evidence = evidence
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
        points = {owner: self._evidence.points(owner, failed, passed) for owner in owners}
        most = max(points.values())
        if most < _ENOUGH:
            suspects = self._opinion(in_turn, failed)
            return [*suspects, *(owner for owner in in_turn if owner not in suspects)]
        suspects = [owner for owner in in_turn if points[owner] * _CLEAR > most]
        return [*suspects, *sorted((o for o in in_turn if o not in suspects), key=lambda o: -points[o])]

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


def _came_up(part: Component, records: Sequence[RunRecord]) -> bool:
    if part.kind == "extract":
        return any(record.diagnosis.fell_back for record in records)
    if part.kind == "tools":
        return any(f"{part.tool}(" in record.text for record in records)
    if part.kind == "sub_calls":
        return any(record.diagnosis.sub_calls for record in records)
    return True


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
    """The names in the last line of a reply that has any."""
    for line in reversed(reply.strip().splitlines()):
        found = {name for name in names if has_word(line, name)}
        if found:
            return found
    return set()
