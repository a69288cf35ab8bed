"""What gepa asks of a program with RLMs: runs with records, and new texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gepa.core.adapter import EvaluationBatch, ProposalFn

from rlm_module.errors import InputError
from rlm_module.optimizers.evolution.cases import Case
from rlm_module.optimizers.evolution.options import Mark
from rlm_module.optimizers.evolution.pool import Pool
from rlm_module.optimizers.evolution.rollouts import Rollout, Rollouts
from rlm_module.optimizers.evolution.runner import FAILED
from rlm_module.optimizers.evolution.search import Search
from rlm_module.optimizers.evolution.stopping import Exhausted, Stopper

_RECORD = "record"


class RLMAdapter:
    """A GEPAAdapter for programs with RLMs.

    Args:
        rollouts: Runs candidates.
        pool: Tells what the proposal at hand is based on.
        search: Finds new texts.
        mark: The best score that an example can have.
        stopper: Told when a proposal cannot be paid.
    """

    def __init__(self, rollouts: Rollouts, pool: Pool, search: Search, mark: Mark, stopper: Stopper) -> None:
        self._rollouts = rollouts
        self._pool = pool
        self._search = search
        self._mark = mark
        self._stopper = stopper
        self.has_run = False
        """Whether the first batch is done with, of which more is asked than of others."""
        self.failure: Exception | None = None
        """What ended the compile while a text was proposed, where gepa would only log it."""
        self.propose_new_texts: ProposalFn | None = self._propose

    def evaluate(
        self, batch: Sequence[Case], candidate: Mapping[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[Rollout, str]:
        """Runs a candidate on examples; a run that fails counts 0 and says why.

        Raises:
            Exhausted: If that cannot be paid.
            InputError: If the first runs show that nothing can be learned so.
        """
        rollouts = self._rollouts.run(candidate, batch)
        if not self.has_run:
            _check(rollouts, self._mark.score)
            self.has_run = True
        return EvaluationBatch(
            outputs=[rollout.answer for rollout in rollouts],
            scores=[rollout.score for rollout in rollouts],
            trajectories=rollouts,
            num_metric_calls=0,
        )

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], eval_batch: EvaluationBatch[Rollout, str], components_to_update: list[str]
    ) -> Mapping[str, list[Mapping[str, Any]]]:
        """Records of the runs that did not go well, for the component to update and for those to try after it."""
        records = self._search.records(eval_batch.trajectories or [])
        return {name: [{_RECORD: text} for text in texts] for name, texts in records.items()}

    def _propose(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """A new text for one component; empty where there is none that can be paid."""
        step = self._pool.step
        assert step is not None
        records = {name: [str(item[_RECORD]) for item in items] for name, items in reflective_dataset.items()}
        try:
            return self._search.texts(step, records)
        except Exhausted as end:
            self._stopper.stop(end.reason)
        except Exception as error:
            self.failure = error
            self._stopper.stop("error")
        return {}


def _check(rollouts: Sequence[Rollout], perfect: float) -> None:
    """Refuses to go on where of the first runs none gave anything, none could be judged, or one beats a perfect one."""
    best = max(rollout.score for rollout in rollouts)
    if best > perfect:
        raise InputError(
            f"The metric gave {best:g}, which is above perfect_score={perfect:g}; pass the best score that it can give."
        )
    faults = [rollout.fault or "" for rollout in rollouts]
    if all(rollout.failed == "metric" for rollout in rollouts):
        raise InputError(f"The metric gave no score for any of the first {len(rollouts)} runs: {faults[0]}")
    if all(rollout.failed == "program" and not rollout.records for rollout in rollouts):
        raise InputError(
            f"The program failed on each of the first {len(rollouts)} examples: {faults[0].removeprefix(FAILED)}"
        )
