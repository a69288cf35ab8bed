"""Learned advice, item by item, so that what does harm can be taken out of a text that is good otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rlm_module.optimizers.evolution.cases import Case
from rlm_module.optimizers.evolution.pool import Step
from rlm_module.optimizers.evolution.rollouts import Rollouts

_TRIALS = 16
"""Items of one text that are left out for a trial, one at a time."""
_ITEM = re.compile(r"\s{0,3}(?:[-*+•]|\d{1,3}[.)]|#{1,6})\s")


class Pruner:
    """Leaves an item out of a text where a run shows that to be better.

    Args:
        rollouts: Runs candidates.
        originals: The texts of the program as it was given.
    """

    def __init__(self, rollouts: Rollouts, originals: Mapping[str, str]) -> None:
        self._rollouts = rollouts
        self._originals = originals
        self._tried: dict[tuple[int, str], set[str]] = {}

    def pruned(self, step: Step, names: Sequence[str]) -> dict[str, str]:
        """The text of the first component that is better without something learned; empty where none is.

        Args:
            step: The candidate, and the example on which it is tried. What was tried of that candidate before is not
                tried again.
            names: The components, in order.

        Raises:
            Exhausted: If a trial cannot be paid.
        """
        for name in names:
            tried = self._tried.setdefault((step.parent, name), set())
            shorter = self.shorter(step.texts, name, self._originals[name], step.open[0], tried)
            if shorter is not None:
                return {name: shorter}
        return {}

    def shorter(
        self, texts: Mapping[str, str], name: str, base: str, case: Case, tried: set[str] | None = None
    ) -> str | None:
        """A text without the first item whose loss is a gain on an example; None where that is true of none.

        Args:
            texts: Those of the candidate.
            name: The component.
            base: The text whose items stay.
            case: The example.
            tried: Items that were left out before; what is left out now is added.

        Raises:
            Exhausted: If a trial cannot be paid.
        """
        tried = set() if tried is None else tried
        score = self._rollouts.score(texts, case)
        for item in learned(texts[name], base):
            if item in tried or len(tried) >= _TRIALS:
                continue
            if not self._rollouts.can_run(2):
                return None
            tried.add(item)
            shorter = without(texts[name], item)
            if shorter and self._rollouts.score({**texts, name: shorter}, case) > score:
                return shorter
        return None


def items(text: str) -> list[str]:
    """A text in items: points of a list with the lines that go on with them, headings, and paragraphs."""
    found: list[list[str]] = []
    begins = True
    for line in text.splitlines():
        if not line.strip():
            begins = True
            if found:
                found[-1].append(line)
            continue
        if begins or _ITEM.match(line) or not found:
            found.append([])
        found[-1].append(line)
        begins = False
    return ["\n".join(lines) for lines in found]


def learned(text: str, original: str) -> list[str]:
    """The items of a text that its original does not have, the last ones first."""
    old = {" ".join(item.split()) for item in items(original)}
    return [item for item in reversed(items(text)) if " ".join(item.split()) not in old]


def without(text: str, item: str) -> str:
    """The text without one of its items."""
    left = items(text)
    left.remove(item)
    return "\n".join(left).strip()
