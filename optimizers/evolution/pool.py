"""The candidates of a compile, what is known of each, and which of them is tried on which examples next."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gepa.strategies.proposal_sampling import ProposalTask

from rlm_module.optimizers.evolution.cases import Case
from rlm_module.optimizers.evolution.options import Mark, Options
from rlm_module.optimizers.evolution.rollouts import Rollouts
from rlm_module.optimizers.evolution.stopping import Stopper

_SCAN = 4
"""At most so many times the minibatch is run at once in search of examples that do not go well."""
_SCREEN = 3
"""A candidate is first validated on one in so many validation examples."""
_LEAST_SCREEN = 4


@dataclass(frozen=True, slots=True)
class Step:
    """What one proposal is based on.

    Args:
        parent: The candidate.
        texts: Its texts.
        open: Examples on which it did not do well.
        solved: Examples that it solved, to see that they stay so.
        is_stuck: Whether proposals were based on all of these before, in vain.
    """

    parent: int
    texts: Mapping[str, str]
    open: tuple[Case, ...]
    solved: tuple[Case, ...]
    is_stuck: bool


class Pool:
    """Chooses, for gepa, a parent and the examples that a proposal is based on.

    Args:
        rollouts: Runs candidates.
        train: The training examples.
        val: The validation examples.
        options: How it is compiled.
        mark: Tells which examples are solved.
        stopper: Told when there is nothing left to learn from.
    """

    def __init__(
        self,
        rollouts: Rollouts,
        train: Sequence[Case],
        val: Sequence[Case],
        options: Options,
        mark: Mark,
        stopper: Stopper,
    ) -> None:
        self._rollouts = rollouts
        self._size = options.minibatch_size
        self._is_perfect = mark.reaches
        self._rng = random.Random(options.seed)
        self._stopper = stopper
        self._train = list(train)
        self._order = {case.key: place for place, case in enumerate(self._rng.sample(self._train, len(self._train)))}
        self._tried: Counter[tuple[int, str]] = Counter()
        self._shown: Counter[str] = Counter()
        order = list(range(len(val)))
        random.Random(options.seed).shuffle(order)
        self.screen = sorted(order[: max(_LEAST_SCREEN, math.ceil(len(val) / _SCREEN))])
        """Validation examples, by index, on which every candidate is run."""
        self.step: Step | None = None

    def sample_tasks(self, state: Any, candidate_selector: Any, batch_sampler: Any, trainset: Any) -> list[Any]:
        """One parent and its minibatch; none where every training example is solved."""
        parent = self._parent(state)
        texts: Mapping[str, str] = state.program_candidates[parent]
        lineage = _lineage(state, parent)
        found = self._open(state, parent, texts, lineage)
        if not found:
            self._stopper.stop("every training example is solved")
            return []
        solved = self._solved(texts)
        is_stuck = all(self._tried[parent, case.key] for case in found)
        self.step = Step(parent, texts, tuple(found), tuple(solved), is_stuck)
        for case in found:
            self._tried[parent, case.key] += 1
        for case in solved:
            self._shown[case.key] += 1
        batch = [*found, *solved]
        return [ProposalTask(parent, dict(texts), [case.number for case in batch], batch)]

    def _parent(self, state: Any) -> int:
        """One of those that are best on some example of the screen; the later one of two that are alike."""
        scores: list[dict[int, float]] = [
            {index: found for index, found in subscores.items() if index in self.screen}
            for subscores in state.prog_candidate_val_subscores
        ]
        front = [
            number
            for number, mine in enumerate(scores)
            if not any(_covers(other, mine, later > number) for later, other in enumerate(scores) if later != number)
        ]
        best = {index: max(found.get(index, -math.inf) for found in scores) for index in self.screen}
        weights = [sum(scores[n].get(i, -math.inf) >= best[i] for i in self.screen) or 0.1 for n in front]
        return self._rng.choices(front, weights)[0]

    def _open(self, state: Any, parent: int, texts: Mapping[str, str], lineage: list[int]) -> list[Case]:
        """Examples that this candidate does not do well on, the least tried first; runs it until there are enough."""
        ranked = sorted(self._train, key=lambda case: self._rank(state, case, texts, lineage))
        hopeful = [case for case in ranked if not self._is_solved(state, case, lineage)]
        found: list[Case] = []
        scanned = 0
        queue = list({case.key: case for case in hopeful}.values())
        while queue and len(found) < self._size and scanned < _SCAN * self._size:
            wave, queue = queue[: self._size - len(found)], queue[self._size - len(found) :]
            scanned += len(wave)
            for case, rollout in zip(wave, self._rollouts.run(texts, wave), strict=True):
                if not self._is_perfect(rollout.score):
                    found.append(case)
        return found

    def _rank(self, state: Any, case: Case, texts: Mapping[str, str], lineage: list[int]) -> tuple[int, int, int]:
        tried = sum(self._tried[number, case.key] for number in lineage)
        return tried, case.key not in self._rollouts.known(texts), self._order[case.key]

    def _is_solved(self, state: Any, case: Case, lineage: list[int]) -> bool:
        """By this candidate, or by the nearest of its ancestors that was run on the example."""
        for number in lineage:
            rollout = self._rollouts.known(state.program_candidates[number]).get(case.key)
            if rollout is not None:
                return self._is_perfect(rollout.score)
        return False

    def _solved(self, texts: Mapping[str, str]) -> list[Case]:
        known = self._rollouts.known(texts)
        solved = [c for c in self._train if (r := known.get(c.key)) is not None and self._is_perfect(r.score)]
        return sorted(solved, key=lambda case: (self._shown[case.key], self._order[case.key]))[:1]


def _lineage(state: Any, number: int) -> list[int]:
    """A candidate and its ancestors, the nearest first."""
    found = [number]
    while (parent := state.parent_program_for_candidate[found[-1]][0]) is not None:
        found.append(parent)
    return found


def _covers(one: Mapping[int, float], other: Mapping[int, float], is_later: bool) -> bool:
    """Whether one is nowhere worse, and somewhere better or else the later of the two."""
    pairs = [(one.get(index, -math.inf), score) for index, score in other.items()]
    return all(a >= b for a, b in pairs) and (is_later or any(a > b for a, b in pairs))
