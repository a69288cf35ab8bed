"""One compile from its first run to the program that is returned."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import dspy
from gepa.api import optimize

from rlm_module.optimizers.evolution.adapter import RLMAdapter
from rlm_module.optimizers.evolution.blame import Blame
from rlm_module.optimizers.evolution.briefs import briefs
from rlm_module.optimizers.evolution.cases import Case
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.evaluations import Evaluations, Reflections
from rlm_module.optimizers.evolution.evidence import Evidence
from rlm_module.optimizers.evolution.options import Mark, Options, enough_runs
from rlm_module.optimizers.evolution.pool import Pool
from rlm_module.optimizers.evolution.progress import Progress
from rlm_module.optimizers.evolution.proposing import Proposer
from rlm_module.optimizers.evolution.pruning import Pruner
from rlm_module.optimizers.evolution.reflection import ReflectionModel
from rlm_module.optimizers.evolution.rollouts import Rollout, Rollouts
from rlm_module.optimizers.evolution.runner import Runner
from rlm_module.optimizers.evolution.search import Search
from rlm_module.optimizers.evolution.stopping import Allowance, Exhausted, Stopper
from rlm_module.optimizers.evolution.validation import Acceptance, Finals, Found, StagedValidation
from rlm_module.optimizers.feedback import plain_metric
from rlm_module.optimizers.lineage import Compilation, Dropped
from rlm_module.optimizers.metrics import Metric

logger = logging.getLogger(__name__)


class Study:
    """The parts of one compile. gepa calls it back as one of its `callbacks`, and logs to it.

    Args:
        options: How it is compiled.
        student: The program.
        train: The training examples.
        val: The validation examples.
        evaluations: Program runs that were made before.
        reflections: Replies of the reflection model that were given before.
    """

    def __init__(
        self,
        options: Options,
        student: dspy.Module,
        train: Sequence[Case],
        val: Sequence[Case],
        evaluations: Evaluations,
        reflections: Reflections,
    ) -> None:
        self._options = options
        self._student = student
        self._train, self._val = list(train), list(val)
        self._components = Components(student, options.learn)
        self._original = self._components.texts(student)
        self._allowance = Allowance(options.max_runs, options.max_cost_usd, evaluations.lost_usd, reflections.lost_usd)
        self._stopper = Stopper(self._allowance, options.patience)
        self._progress = Progress(self._allowance, options.show_progress)
        self._mark = mark = Mark(options.perfect_score)
        runner = Runner(self._components, Metric(plain_metric(options.metric)), mark.reaches)
        self._rollouts = Rollouts(
            student, self._components, runner, self._allowance, evaluations, options.num_threads, self._ran
        )
        self._pool = Pool(self._rollouts, train, val, options, mark, self._stopper)
        model = ReflectionModel(options.reflection_lm, self._allowance, reflections)
        self._dropped: list[Dropped] = []
        self._blame = Blame(self._components, Evidence(self._components, student), model.ask, mark.reaches)
        proposer = Proposer(briefs(self._components, options.max_text_chars), model.ask, self._dropped.append)
        search = Search(self._rollouts, proposer, Pruner(self._rollouts, self._original), self._blame, mark)
        self._adapter = RLMAdapter(self._rollouts, self._pool, search, mark, self._stopper)
        self._finals = Finals(self._rollouts, val, self._pool.screen, mark)
        self._found: list[Found] = []
        self._stopped = ""

    def run(self) -> Any:
        """The best program that was found.

        Raises:
            InputError: If nothing can be run or judged.
            KeyboardInterrupt: If the user ends it. This and whatever else is raised has the best program up to then
                as its `partial`.
        """
        self._foresee()
        try:
            self._evolve()
            self._allowance.kept_runs = 0
            self._finals.validate(self._found)
        except BaseException as error:
            self._stopped = "interrupted" if isinstance(error, KeyboardInterrupt) else "an error"
            with suppress(AttributeError):  # not every exception takes one
                error.partial = self.best()  # pyright: ignore[reportAttributeAccessIssue]
            raise
        finally:
            self._progress.close()
        return self.best()

    def _ran(self, rollout: Rollout) -> None:
        self._progress.ran()
        if self._adapter.has_run:
            self._mark.raise_to(rollout.score)

    def _foresee(self) -> None:
        """Says so where too few runs are allowed to learn anything."""
        val, most = len({case.key for case in self._val}), self._options.max_runs
        enough = enough_runs(val, min(self._options.minibatch_size, len(self._train)))
        if most is not None and most < enough:
            logger.warning(
                "max_runs=%d is little for %d validation examples, and it may be that nothing is learned; allow at "
                "least %d, or give a smaller valset.",
                most,
                val,
                enough,
            )

    def _evolve(self) -> None:
        """Runs gepa until a limit is met or nothing is left to learn."""
        val = len(self._val)
        kept = val - len(self._pool.screen)
        most = self._options.max_runs
        if most is None or most >= 2 * val + 2 * self._options.minibatch_size:
            self._allowance.kept_runs = kept
        callback: Any = self  # which has those of gepa's methods that are of use
        selector: Any = self._blame
        try:
            optimize(
                seed_candidate=self._original,
                trainset=self._train,
                valset=self._val,
                adapter=self._adapter,
                sampling_strategy=self._pool,
                module_selector=selector,
                acceptance_criterion=Acceptance(),
                val_evaluation_policy=StagedValidation(self._pool.screen),
                frontier_type="instance",
                skip_perfect_score=False,
                stop_callbacks=self._stopper,
                callbacks=[callback],
                logger=self,
                track_best_outputs=False,
                seed=self._options.seed,
            )
        except Exhausted as end:
            self._stopper.stop(end.reason)
        if self._adapter.failure is not None:
            raise self._adapter.failure
        self._stopped = self._stopper.reason
        if not self._found:
            logger.warning(
                "The %s did not suffice to run the program on the validation examples; it is returned as it was.",
                self._stopped,
            )

    def best(self) -> Any:
        """The best program up to now, a copy of the student's, with the record of the compile."""
        compilation = self.compilation()
        texts = compilation.candidates[compilation.best].texts
        program: Any = self._components.copy_with(self._student, texts)
        program.compilation = compilation
        return program

    def compilation(self) -> Compilation:
        """What was found up to now."""
        found = self._found or [Found(0, self._original, ())]
        candidates = self._finals.candidates(found)
        spent = self._allowance
        return Compilation(
            candidates=tuple(candidates),
            best=self._finals.best(candidates),
            front=self._finals.front(candidates),
            dropped=tuple(self._dropped),
            runs=spent.runs,
            reflections=spent.reflections,
            cost_usd=spent.cost_usd,
            reflection_cost_usd=spent.reflection_cost_usd,
            stopped=self._stopped or "unfinished",
            train=len(self._train),
            val=len(self._val),
            data=self._options.data,
        )

    def log(self, message: str) -> None:
        """Takes gepa's log."""
        logger.debug(message)

    def on_valset_evaluated(self, event: Any) -> None:
        """A candidate was accepted and validated."""
        parents = tuple(parent for parent in event["parent_ids"] if parent is not None)
        texts = dict(event["candidate"])
        old = self._found[parents[0]].texts if parents else texts
        changed = tuple(name for name in texts if texts[name] != old[name])
        self._found.append(Found(event["candidate_idx"], texts, parents, changed))
        self._progress.scored(event["average_score"])

    def on_candidate_accepted(self, event: Any) -> None:
        """A proposal was accepted."""
        self._stopper.succeeded()

    def on_iteration_end(self, event: Any) -> None:
        """A proposal is done with."""
        self._stopper.ended()
