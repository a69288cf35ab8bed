"""Gathers demonstrations: successful trajectories of each RLM in a program, the few that show most."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Never

import dspy
from dspy.teleprompt import Teleprompter
from tqdm import tqdm

from rlm_module import Budget, Spent, spending
from rlm_module.errors import InputError
from rlm_module.optimizers.arguments import (
    check_count,
    check_metric,
    check_program,
    checked_examples,
    is_finite,
    refuse,
)
from rlm_module.optimizers.choosing import chosen_few
from rlm_module.optimizers.feedback import plain_metric
from rlm_module.optimizers.gathering import Harvest, solve
from rlm_module.optimizers.metrics import Metric
from rlm_module.optimizers.paths import open_rlms, rlms_of
from rlm_module.optimizers.reach import require_reach
from rlm_module.optimizers.threads import each_done

logger = logging.getLogger(__name__)


_INSTEAD = {
    "max_bootstrapped_demos": "give max_demos",
    "metric_threshold": "give threshold",
    "teacher_settings": "give compile a teacher that has an LM of its own",
}
"""What stands for options of `dspy.BootstrapFewShot`."""


class RLMBootstrap(Teleprompter):
    """Lets a program, or its teacher, solve the training examples, and gives each RLM in it the best trajectories as
    demonstrations: chosen for the program's score, then for brevity, then for being different.

    Predictors that are no RLM's stay as they are, and so do frozen parts, which are not saved. The result is not marked
    as compiled, so that it is saved whole and may be compiled further.

    Args:
        metric: Judges a prediction; see `Metric` for what it may take and return.
        max_demos: The most demonstrations of an RLM. All of them fit into a prompt together (`demos.DEMO_TOKENS`).
        threshold: The least score of a trajectory that is kept.
        max_runs: The most program runs; None for one for each example.
        num_threads: Examples at a time; None for `dspy.settings.num_threads`.
        show_progress: Whether a bar is shown.
        **others: None; those that `dspy.BootstrapFewShot` takes are refused with what to give instead.

    Raises:
        InputError: If an option makes no sense, or is none of these.
    """

    def __init__(
        self,
        metric: Callable[..., Any],
        *,
        max_demos: int = 3,
        threshold: float = 0.5,
        max_runs: int | None = None,
        num_threads: int | None = None,
        show_progress: bool = True,
        **others: Never,
    ) -> None:
        super().__init__()
        refuse("RLMBootstrap", others, _INSTEAD)
        check_metric(metric)
        check_count("max_demos", max_demos)
        check_count("max_runs", max_runs, may_be_none=True)
        check_count("num_threads", num_threads, may_be_none=True)
        if not is_finite(threshold):
            raise InputError(f"threshold must be a finite number, not {threshold!r}.")
        self.metric = metric
        self.max_demos = max_demos
        self.threshold = threshold
        self.max_runs = max_runs
        self.num_threads = num_threads
        self.show_progress = show_progress

    def compile(
        self,
        student: dspy.Module,
        *,
        teacher: dspy.Module | None = None,
        trainset: Any,
        valset: Any = None,
        **kwargs: Any,
    ) -> dspy.Module:
        """A copy of the student with demonstrations; its `gathering` tells what they took.

        Where a budget that is shared (`rlm_module.spending`) has too little left for a run, no further one is begun. An
        example that fails is logged, counted and left out. An RLM for which nothing was good enough keeps the
        demonstrations that it had. Ctrl-C ends it at once: KeyboardInterrupt is raised with the program as its
        `partial`, which has the best demonstrations up to then; runs on other threads pay for nothing more.

        Args:
            student: The program, which stays as it is.
            teacher: What solves the examples, a program with RLMs at the same places; None for the student.
            trainset: Examples; they are taken in order.
            valset: Not used; dspy's optimizers take one.
            **kwargs: None; dspy's optimizers allow for more.

        Raises:
            InputError: If there are no examples, one has no inputs, no RLM is in the program, what one learns could not
                be saved, the teacher's RLMs stand elsewhere, or the metric gives no usable score.
            KeyboardInterrupt: If the user ends it.
        """
        refuse("compile", kwargs, {}, "options are given to RLMBootstrap")
        examples, solver, compiled = self._prepared(student, teacher, trainset)
        harvest = Harvest(self.threshold)
        with spending(Budget()) as spent:
            try:
                self._gather(harvest, solver, examples)
            except KeyboardInterrupt as interrupt:
                logger.warning("Gathering was stopped after %d of %d runs.", harvest.runs, len(examples))
                interrupt.partial = self._taught(compiled, harvest, spent)  # pyright: ignore[reportAttributeAccessIssue]
                raise
            finally:
                spent.ledger.stop()
        return self._taught(compiled, harvest, spent)

    def _prepared(
        self, student: dspy.Module, teacher: dspy.Module | None, trainset: Any
    ) -> tuple[list[dspy.Example], dspy.Module, dspy.Module]:
        """The examples, a copy of what solves them, and a copy of what is taught."""
        check_program("student", student)
        if teacher is not None:
            check_program("teacher", teacher)
        require_reach(student)
        examples = checked_examples(trainset)[: self.max_runs]
        solver = (teacher if teacher is not None else student).deepcopy()
        compiled = student.deepcopy()
        vars(compiled)["_compiled"] = False  # else a program that it becomes a part of would not save it
        taught = open_rlms(compiled)
        if not taught:
            raise InputError(
                "All RLMs of the program are frozen; call rlm_module.thaw(program) first."
                if rlms_of(compiled)
                else "The program holds no RLM to gather demonstrations for; use dspy.BootstrapFewShot."
            )
        if not taught.keys() & rlms_of(solver).keys():
            raise InputError(f"The teacher has no RLM where the student has its own ({', '.join(map(repr, taught))}).")
        if frozen := sorted(rlms_of(compiled).keys() - taught.keys()):
            logger.info(
                "Frozen parts stay as they are (%s); rlm_module.thaw(program) lets them learn.", ", ".join(frozen)
            )
        return examples, solver, compiled

    def _gather(self, harvest: Harvest, solver: dspy.Module, examples: list[dspy.Example]) -> None:
        """Has the examples solved until all are, or the money is spent."""
        metric = Metric(plain_metric(self.metric))
        numbered = list(enumerate(examples))
        with tqdm(total=len(examples), disable=not self.show_progress, desc="Gathering demonstrations") as bar:
            for solved in each_done(lambda item: solve(solver, metric, *item), numbered, self.num_threads):
                harvest.take(solved)
                bar.update()
                bar.set_postfix(good=harvest.good, failed=harvest.failed)
                harvest.require_a_score(is_over=harvest.runs == len(examples))
                if solved.is_broke:
                    logger.warning("Gathering ends after %d of %d runs for want of money.", harvest.runs, len(examples))
                    return

    def _taught(self, compiled: dspy.Module, harvest: Harvest, spent: Spent) -> dspy.Module:
        """The program with the best of what was gathered."""
        for path, rlm in open_rlms(compiled).items():
            found = harvest.trajectories.get(path, [])
            kept = chosen_few(found, self.max_demos)
            name = f"`{path}`" if path else "the program"
            logger.info("%d of %d trajectories became demonstrations of %s.", len(kept), len(found), name)
            if kept:
                rlm.generate_action.demos = [one.demo for one in kept]
        vars(compiled)["gathering"] = harvest.gathering(spent.usage.total.cost_usd)
        return compiled
