"""What gepa needs of a program with RLMs: runs with records, and proposals that were tried on an example or two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gepa.core.adapter import EvaluationBatch

from rlm_module.errors import InputError
from rlm_module.optimizers.evolution.blame import Blame
from rlm_module.optimizers.evolution.cases import Case
from rlm_module.optimizers.evolution.components import Component, Components
from rlm_module.optimizers.evolution.options import Mark, Options
from rlm_module.optimizers.evolution.pool import Pool, Step
from rlm_module.optimizers.evolution.proposing import Brief, Proposer, same
from rlm_module.optimizers.evolution.pruning import learned, without
from rlm_module.optimizers.evolution.rollouts import Rollout, Rollouts
from rlm_module.optimizers.evolution.runner import FAILED
from rlm_module.optimizers.evolution.stopping import Exhausted, Stopper
from rlm_module.optimizers.trajectories.layout import ends

_VARIANTS = 5
"""Proposals drawn from one minibatch until one stands its first trial; replies are cheap beside program runs."""
_SOME, _NONE, _MOST_EFFORT = 2, 1, 5
"""A proposal that gained something without solving its example counts for two that gained nothing."""
_ITEMS = 16
"""Items of one text that are left out for a trial, one at a time, when nothing else helps."""
_RECORD_CHARS = 12_000


class RLMAdapter:
    """A GEPAAdapter for programs with RLMs.

    Args:
        components: The program's texts.
        rollouts: Runs candidates.
        pool: Tells what the proposal at hand is based on.
        blame: Tells which component is to change.
        proposer: Gets a better text.
        options: How it is compiled.
        mark: Tells which examples are solved.
        originals: The texts of the program as it was given.
        stopper: Told when a proposal cannot be paid.
    """

    propose_new_texts: Any

    def __init__(
        self,
        components: Components,
        rollouts: Rollouts,
        pool: Pool,
        blame: Blame,
        proposer: Proposer,
        options: Options,
        mark: Mark,
        originals: Mapping[str, str],
        stopper: Stopper,
    ) -> None:
        self._components = components
        self._rollouts = rollouts
        self._pool = pool
        self._proposer = proposer
        self._options = options
        self._mark = mark
        self._originals = originals
        self._stopper = stopper
        self._pruned_from: dict[tuple[int, str], set[str]] = {}
        self.has_run = False
        """Whether the first batch is done with, of which more is asked than of others."""
        self.blame = blame
        self.failure: Exception | None = None
        """What ended the compile while a text was proposed, where gepa would only log it."""
        self.propose_new_texts = self._propose

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
            _check(rollouts, self._options.perfect_score)
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
        """For each component the records of the runs that did not go well."""
        failed = [r for r in eval_batch.trajectories or [] if not self._mark.reaches(r.score)]
        names = list(dict.fromkeys([*components_to_update, *self.blame.ranking]))
        return {name: [{"record": self._record(self._components.parts[name], r)} for r in failed] for name in names}

    def _propose(
        self,
        candidate: Mapping[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """A new text for one component; empty where there is none that can be paid."""
        try:
            return self._proposed(reflective_dataset, components_to_update)
        except Exhausted as end:
            self._stopper.stop(end.reason)
        except Exception as error:
            self.failure = error
            self._stopper.stop("error")
        return {}

    def _proposed(
        self, reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]], components_to_update: list[str]
    ) -> dict[str, str]:
        """A new text for the first component whose records call for a change."""
        step = self._pool.step
        assert step is not None
        if step.is_stuck and (pruned := self._pruned(step)):
            return pruned
        for name in dict.fromkeys([*components_to_update, *reflective_dataset]):
            records = [str(item["record"]) for item in reflective_dataset[name]]
            if (text := self._best(step, name, records)) is not None:
                return {name: text}
        return {} if step.is_stuck else self._pruned(step)

    def _best(self, step: Step, name: str, records: Sequence[str]) -> str | None:
        """Of a few proposals the first that stands its trial, else the best of them; None for no change."""
        brief = self._brief(self._components.parts[name])
        current, gains, effort = step.texts[name], dict[str, float](), 0
        for variant in range(_VARIANTS):
            shown, most = _evidence(records, variant)
            text = self._proposer.propose(brief, current, shown, most=most)
            if same(text, current) and not gains:
                return None
            if same(text, current) or text in gains:
                continue
            if not gains:
                self.blame.proposed(name)
            gains[text], stands = self._trial(step, {**step.texts, name: text})
            effort += _SOME if gains[text] > 0 else _NONE
            if stands:
                return text
            if effort >= _MOST_EFFORT or not self._rollouts.can_run(2):
                break
        if not gains:
            return None
        best = max(gains, key=lambda text: (gains[text], -len(text)))
        return self._mended(step, name, best) if gains[best] > 0 else best

    def _mended(self, step: Step, name: str, text: str) -> str:
        """A proposal that does good without solving its example, once more improved by what its own run shows there.

        Where that run calls for no change, something new in it may do harm: each new item is left out for a trial.
        """
        texts, case = {**step.texts, name: text}, step.open[0]
        if not self._rollouts.can_run(2):
            return text
        component, rollout = self._components.parts[name], self._rollouts.run(texts, [case])[0]
        if self._mark.reaches(rollout.score):
            return text
        further = self._proposer.propose(self._brief(component), text, [self._record(component, rollout)], most=1)
        if same(further, text):
            found = learned(text, step.texts[name])
            return self._left_out(texts, name, found, case, set()) or text
        better = self._rollouts.run({**texts, name: further}, [case])[0].score > rollout.score
        return further if better else text

    def _left_out(
        self, texts: Mapping[str, str], name: str, found: Sequence[str], case: Case, tried: set[str]
    ) -> str | None:
        """A text without the first item whose loss is a gain on an example; None where that is true of none."""
        score = self._rollouts.run(texts, [case])[0].score
        for item in found:
            if item in tried or len(tried) >= _ITEMS:
                continue
            if not self._rollouts.can_run(2):
                return None
            tried.add(item)
            shorter = without(texts[name], item)
            if shorter and self._rollouts.run({**texts, name: shorter}, [case])[0].score > score:
                return shorter
        return None

    def _trial(self, step: Step, texts: Mapping[str, str]) -> tuple[float, bool]:
        """What a proposal gains on an example or two, and whether nothing speaks against it there."""
        gain = 0.0
        for case in (*step.solved, step.open[0]):
            before, after = (self._rollouts.run(one, [case])[0].score for one in (step.texts, texts))
            gain += after - before
            if after < before or (case is step.open[0] and not self._mark.reaches(after)):
                return gain, False
        return gain, True

    def _pruned(self, step: Step) -> dict[str, str]:
        """The texts without one learned item, where a run shows that to be better; empty where none does."""
        for name in self.blame.ranking:
            tried = self._pruned_from.setdefault((step.parent, name), set())
            found = learned(step.texts[name], self._originals[name])
            if (shorter := self._left_out(step.texts, name, found, step.open[0], tried)) is not None:
                return {name: shorter}
        return {}

    def _brief(self, component: Component) -> Brief:
        rlm = self._components.rlms.get(component.owner) if component.kind != "predictor" else None
        return Brief(component, self._components.task(component.owner), rlm, self._options.max_text_chars)

    def _record(self, component: Component, rollout: Rollout) -> str:
        own = ["\n".join([record.text, *record.diagnosis.sentences()]) for record in rollout.of(component.owner)]
        if component.owner in rollout.steps:
            own.append(rollout.steps[component.owner])
        said = [rollout.fault or "", rollout.feedback, rollout.notes.get(component.owner, "")]
        feedback = "\n".join(dict.fromkeys(text for text in said if text))
        return "\n".join(
            [
                f"Inputs of the program:\n{rollout.inputs}",
                ends("\n\n".join(own), _RECORD_CHARS) if own else "It did not run.",
                f"Outputs of the program:\n{rollout.answer}" if rollout.answer else "The program gave no outputs.",
                f"Score: {rollout.score:g}",
                f"Feedback: {feedback}" if feedback else "No feedback was given.",
            ]
        )


def _evidence(records: Sequence[str], variant: int) -> tuple[Sequence[str], int]:
    """The records that a proposal is drawn from, and the most replies: all at first, in turn, then smaller steps."""
    if variant < 2:
        shift = variant % len(records)
        return [*records[shift:], *records[:shift]], len(records) + 1
    return records[:1], 2 if variant == 2 else 1


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
