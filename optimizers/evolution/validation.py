"""Which proposals are kept and which candidate is returned: acceptance, staged validation, and the last ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlm_module.optimizers.evolution.cases import Case
from rlm_module.optimizers.evolution.options import Mark
from rlm_module.optimizers.evolution.rollouts import Rollout, Rollouts
from rlm_module.optimizers.evolution.stopping import Exhausted
from rlm_module.optimizers.lineage import Candidate, non_dominated

_CHEAPER = 0.9
_FINALISTS = 3
_CLOSE = 1e-9


class Acceptance:
    """Takes a candidate that scores better on its minibatch, or as well at a cost that is at least a tenth lower."""

    def should_accept(self, proposal: Any, state: Any) -> bool:
        """Whether it is kept."""
        before, after = proposal.eval_before, proposal.eval_after
        gain = sum(after.scores) - sum(before.scores)
        if abs(gain) > _CLOSE:
            return gain > 0
        old, new = total_cost(before.trajectories), total_cost(after.trajectories)
        return old is not None and new is not None and old > 0 and new <= _CHEAPER * old + _CLOSE * old


class StagedValidation:
    """Runs the first program on every validation example, and each later one on a part of them, always the same.

    Args:
        screen: That part, by index.
    """

    def __init__(self, screen: Sequence[int]) -> None:
        self._screen = list(screen)

    def get_seed_eval_batch(self, loader: Any) -> list[int]:
        """All of them: what is returned is to be compared with what was given."""
        return list(loader.all_ids())

    def get_eval_batch(self, loader: Any, state: Any, target_program_idx: int | None = None) -> list[int]:
        """The part on which all candidates can be compared."""
        return list(self._screen)

    def get_best_program(self, state: Any) -> int:
        """The best on that part, the latest of equals."""
        return max(range(len(state.program_candidates)), key=lambda n: (self.get_valset_score(n, state), n))

    def get_valset_score(self, program_idx: int, state: Any) -> float:
        """The mean on that part."""
        scores = state.prog_candidate_val_subscores[program_idx]
        return sum(scores[index] for index in self._screen) / len(self._screen)


@dataclass(slots=True)
class Found:
    """A candidate that was accepted."""

    number: int
    texts: Mapping[str, str]
    parents: tuple[int, ...]
    changed: tuple[str, ...] = field(default=())


class Finals:
    """Chooses the candidate to return.

    Args:
        rollouts: Runs candidates.
        val: The validation examples.
        screen: The part of them on which every candidate was run.
        mark: The best score that an example can have.
    """

    def __init__(self, rollouts: Rollouts, val: Sequence[Case], screen: Sequence[int], mark: Mark) -> None:
        self._rollouts = rollouts
        self._val = list(val)
        self._screen = list(screen)
        self._mark = mark

    def validate(self, found: Sequence[Found]) -> None:
        """Runs the most promising candidates on every validation example, as far as that can be paid."""
        ranked = sorted(found, key=lambda one: (self._screened(one), one.number), reverse=True)
        tried = 0
        for one in ranked:
            if tried >= _FINALISTS or self._hope(one) <= max(map(self._full, found)) + _CLOSE:
                continue
            try:
                self._rollouts.run(one.texts, self._val)
            except Exhausted:
                continue
            tried += 1

    def candidates(self, found: Sequence[Found]) -> list[Candidate]:
        """What is known of each."""
        run = [set(scores) for one in found if (scores := self._scores(one))]
        shared = set[int].intersection(*run) if run else set[int]()
        return [self._candidate(one, shared) for one in found]

    def best(self, candidates: Sequence[Candidate]) -> int:
        """The best of those validated in full, ties to the cheaper; if none was, the best on what all were run on."""
        full = [one for one in candidates if len(one.scores) == len(self._val)]
        if not full:
            shared = [one for one in candidates if one.scores]
            return max(shared or candidates, key=lambda one: (one.score, -_cost(one), -one.number)).number
        return max(full, key=lambda one: (round(one.score, 9), -_cost(one), -one.number)).number

    def front(self, candidates: Sequence[Candidate]) -> tuple[int, ...]:
        """Those validated in full that no other one beats in score, cost and time at once."""
        full = [one for one in candidates if len(one.scores) == len(self._val)]
        return non_dominated(full or list(candidates))

    def _scores(self, one: Found) -> dict[int, float]:
        known = self._rollouts.known(one.texts)
        return {index: known[case.key].score for index, case in enumerate(self._val) if case.key in known}

    def _screened(self, one: Found) -> float:
        scores = self._scores(one)
        found = [scores[index] for index in self._screen if index in scores]
        return sum(found) / len(found) if len(found) == len(self._screen) else float("-inf")

    def _full(self, one: Found) -> float:
        scores = self._scores(one)
        return sum(scores.values()) / len(self._val) if len(scores) == len(self._val) else float("-inf")

    def _hope(self, one: Found) -> float:
        """The best score that it can still have."""
        scores = self._scores(one)
        if len(scores) == len(self._val):
            return float("-inf")
        most = max(self._mark.score, *scores.values())
        return (sum(scores.values()) + (len(self._val) - len(scores)) * most) / len(self._val)

    def _candidate(self, one: Found, shared: set[int]) -> Candidate:
        """What is known of one. Its cost and time are told on the examples that those it is compared with were run on:
        all of them if it was validated in full, else those that every candidate was run on.
        """
        scores, known = self._scores(one), self._rollouts.known(one.texts)
        told = shared if len(scores) < len(self._val) else scores.keys()
        runs = [known[self._val[index].key] for index in scores if index in told]
        cost = total_cost(runs)
        return Candidate(
            number=one.number,
            parents=one.parents,
            texts=dict(one.texts),
            changed=one.changed,
            scores=scores,
            score=sum(scores.values()) / len(scores) if scores else 0.0,
            cost_usd=None if cost is None else cost / max(1, len(runs)),
            seconds=sum(run.seconds for run in runs) / max(1, len(runs)),
        )


def total_cost(rollouts: Sequence[Rollout]) -> float | None:
    """What runs cost together; None if a price is not known."""
    total = 0.0
    for rollout in rollouts:
        if rollout.cost_usd is None:
            return None
        total += rollout.cost_usd
    return total


def _cost(one: Candidate) -> float:
    return float("inf") if one.cost_usd is None else one.cost_usd
