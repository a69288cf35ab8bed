"""The search for a proposal that is worth a validation: a few are drawn, tried on an example or two, and mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlm_module.optimizers.evolution.blame import Blame
from rlm_module.optimizers.evolution.options import Mark
from rlm_module.optimizers.evolution.pool import Step
from rlm_module.optimizers.evolution.proposing import Proposer, same
from rlm_module.optimizers.evolution.pruning import Pruner
from rlm_module.optimizers.evolution.rollouts import Rollout, Rollouts

_VARIANTS = 5
"""Proposals drawn from one minibatch until one stands its first trial; replies are cheap beside program runs."""
_SOME, _NONE, _MOST_EFFORT = 2, 1, 5
"""A proposal that gained something without solving its example counts for two that gained nothing."""


class Search:
    """Looks for a better text.

    Args:
        rollouts: Runs candidates.
        proposer: Gets texts to try.
        pruner: Leaves out of texts what does harm.
        blame: Tells which texts may have to change.
        mark: Tells which examples are solved.
    """

    def __init__(self, rollouts: Rollouts, proposer: Proposer, pruner: Pruner, blame: Blame, mark: Mark) -> None:
        self._rollouts = rollouts
        self._proposer = proposer
        self._pruner = pruner
        self._blame = blame
        self._mark = mark

    def records(self, rollouts: Sequence[Rollout]) -> dict[str, list[str]]:
        """For each component that may have to change, the likeliest first, records of the runs that did not go well."""
        failed = [rollout for rollout in rollouts if not self._mark.reaches(rollout.score)]
        return {name: [self._proposer.record(name, rollout) for rollout in failed] for name in self._blame.ranking}

    def texts(self, step: Step, records: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """A new text for the first component whose records call for one; empty where none do.

        Args:
            step: What it is based on.
            records: Those that `records` gave.

        Raises:
            Exhausted: If its trial cannot be paid.
        """
        if step.is_stuck and (pruned := self._pruner.pruned(step, list(records))):
            return pruned
        for name, shown in records.items():
            if (text := self._proposed(step, name, shown)) is not None:
                return {name: text}
        return {} if step.is_stuck else self._pruner.pruned(step, list(records))

    def _proposed(self, step: Step, name: str, records: Sequence[str]) -> str | None:
        """Of a few proposals the first that stands its trial, else the best, mended; None for no change."""
        current, gains, effort = step.texts[name], dict[str, float](), 0
        for variant in range(_VARIANTS):
            shown, most = _evidence(records, variant)
            text = self._proposer.propose(name, current, shown, most=most)
            if not gains:
                if same(text, current):
                    return None
                self._blame.proposed(name)
            elif same(text, current) or text in gains:
                continue
            gains[text], stands = self._trial(step, {**step.texts, name: text})
            if stands:
                return text
            effort += _SOME if gains[text] > 0 else _NONE
            if effort >= _MOST_EFFORT or not self._rollouts.can_run(2):
                break
        best = max(gains, key=lambda text: (gains[text], -len(text)))
        return self._mended(step, name, best) if gains[best] > 0 else best

    def _trial(self, step: Step, texts: Mapping[str, str]) -> tuple[float, bool]:
        """What a proposal gains on an example or two, and whether nothing speaks against it there."""
        gain, hope = 0.0, step.open[0]
        for case in (*step.solved, hope):
            before, after = self._rollouts.score(step.texts, case), self._rollouts.score(texts, case)
            gain += after - before
            if after < before or (case is hope and not self._mark.reaches(after)):
                return gain, False
        return gain, True

    def _mended(self, step: Step, name: str, text: str) -> str:
        """A proposal that does good without solving its example, once more improved by what its own run shows there.

        Where that run calls for no change, something new in it may do harm: each new item is left out for a trial.
        """
        if not self._rollouts.can_run(2):
            return text
        texts, case = {**step.texts, name: text}, step.open[0]
        (rollout,) = self._rollouts.run(texts, [case])
        if self._mark.reaches(rollout.score):
            return text
        further = self._proposer.propose(name, text, [self._proposer.record(name, rollout)], most=1)
        if same(further, text):
            return self._pruner.shorter(texts, name, step.texts[name], case) or text
        return further if self._rollouts.score({**texts, name: further}, case) > rollout.score else text


def _evidence(records: Sequence[str], variant: int) -> tuple[Sequence[str], int]:
    """The records that a proposal is drawn from, and the most replies: all at first, in turn, then smaller steps."""
    if variant < 2:
        shift = variant % len(records)
        return [*records[shift:], *records[:shift]], len(records) + 1
    return records[:1], 2 if variant == 2 else 1
