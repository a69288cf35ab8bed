"""Gathers demonstrations: successful trajectories of each RLM in a program, the few that show most."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter
from tqdm import tqdm

from rlm_module import RLM, Budget, Spent, capture_runs, spending
from rlm_module.errors import InputError, describe, met_shared_limit
from rlm_module.optimizers.arguments import check_count, check_metric, checked_examples, is_finite
from rlm_module.optimizers.choosing import Trajectory, chosen_few
from rlm_module.optimizers.failures import FAILURES, require_lm
from rlm_module.optimizers.feedback import plain_metric
from rlm_module.optimizers.gathering import each_done
from rlm_module.optimizers.metrics import Metric
from rlm_module.optimizers.paths import plain_path, rlms_of
from rlm_module.optimizers.reach import require_reach
from rlm_module.prompting.demos import demonstration

logger = logging.getLogger(__name__)

_FAULTS_BEFORE_GIVING_UP = 3
_ERROR_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """What gathering came to, as `program.gathering` holds it.

    Args:
        runs: Program runs, those that failed included.
        good: Runs that scored the threshold or more.
        failed: Runs in which the program failed.
        unjudged: Runs for which the metric had no score.
        cost_usd: US dollars; None where a price is not known.
    """

    runs: int
    good: int
    failed: int
    unjudged: int
    cost_usd: float | None


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

    Raises:
        InputError: If a limit makes no sense, or the metric cannot be called.
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
    ) -> None:
        super().__init__()
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
        self, student: dspy.Module, *, teacher: dspy.Module | None = None, trainset: Any, **_: Any
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

        Raises:
            InputError: If there are no examples, one has no inputs, no RLM is in the program, what one learns could not
                be saved, the teacher's RLMs stand elsewhere, or the metric gives no usable score.
            KeyboardInterrupt: If the user ends it.
        """
        examples, solver, compiled = self._prepared(student, teacher, trainset)
        gathered = _Gathered()
        with spending(Budget()) as spent:
            try:
                self._gather(gathered, solver, examples)
            except KeyboardInterrupt as interrupt:
                logger.warning("Gathering was stopped after %d of %d runs.", gathered.runs, len(examples))
                interrupt.partial = self._taught(compiled, gathered, spent)  # pyright: ignore[reportAttributeAccessIssue]
                raise
            finally:
                spent.ledger.stop()
        return self._taught(compiled, gathered, spent)

    def _prepared(
        self, student: dspy.Module, teacher: dspy.Module | None, trainset: Any
    ) -> tuple[list[dspy.Example], dspy.Module, dspy.Module]:
        """The examples, a copy of what solves them, and a copy of what is taught."""
        for name, program in (("student", student), ("teacher", teacher)):
            if not (isinstance(program, dspy.Module) or (name == "teacher" and program is None)):
                raise InputError(f"The {name} must be a dspy.Module, not {type(program).__name__}.")
        require_reach(student)
        examples = checked_examples(trainset)[: self.max_runs]
        solver = (teacher if teacher is not None else student).deepcopy()
        compiled = student.deepcopy()
        vars(compiled)["_compiled"] = False  # else a program that it becomes a part of would not save it
        paths, frozen = list(_taught_rlms(compiled)), sorted(rlms_of(compiled).keys() - _taught_rlms(compiled).keys())
        if frozen and not paths:
            raise InputError("All RLMs of the program are frozen; call rlm_module.thaw(program) first.")
        if frozen:
            logger.info(
                "Frozen parts stay as they are (%s); rlm_module.thaw(program) lets them learn.", ", ".join(frozen)
            )
        if not paths:
            raise InputError("The program holds no RLM to gather demonstrations for; use dspy.BootstrapFewShot.")
        if not set(paths) & set(rlms_of(solver)):
            raise InputError(f"The teacher has no RLM where the student has its own ({', '.join(map(repr, paths))}).")
        return examples, solver, compiled

    def _taught(self, compiled: dspy.Module, gathered: _Gathered, spent: Spent) -> dspy.Module:
        """The program with the best of what was gathered."""
        for path, rlm in _taught_rlms(compiled).items():
            found = gathered.trajectories.get(path, [])
            kept = chosen_few(found, self.max_demos)
            name = f"`{path}`" if path else "the program"
            logger.info("%d of %d trajectories became demonstrations of %s.", len(kept), len(found), name)
            if kept:
                rlm.generate_action.demos = [one.demo for one in kept]
        gathered.tell(self.threshold)
        vars(compiled)["gathering"] = Gathering(
            runs=gathered.runs,
            good=gathered.good,
            failed=gathered.failed,
            unjudged=gathered.faults,
            cost_usd=spent.usage.total.cost_usd,
        )
        return compiled

    def _gather(self, gathered: _Gathered, solver: dspy.Module, examples: list[dspy.Example]) -> None:
        metric = Metric(plain_metric(self.metric))
        numbered = list(enumerate(examples))
        with tqdm(total=len(examples), disable=not self.show_progress, desc="Gathering demonstrations") as bar:
            for solved in each_done(partial(_solve, solver, metric), numbered, self.num_threads):
                gathered.take(solved, self.threshold)
                bar.update()
                bar.set_postfix(good=gathered.good, failed=gathered.failed)
                gathered.require_a_score(is_over=gathered.runs == len(examples))
                if solved.is_broke:
                    logger.warning(
                        "Gathering ends after %d of %d runs for want of money.", gathered.runs, len(examples)
                    )
                    return


def _taught_rlms(program: dspy.Module) -> dict[str, RLM]:
    """Those that are neither frozen nor within a frozen part, whose demonstrations would not be saved."""
    open_parts = {id(module) for _, module in program.named_sub_modules(skip_compiled=True)}
    return {
        path: rlm
        for path, rlm in rlms_of(program).items()
        if id(rlm) in open_parts and not getattr(rlm, "_compiled", False)
    }


@dataclass(frozen=True, slots=True)
class _Solved:
    """What became of one example: trajectories by path, or why there are none.

    Args:
        score: None where the program or the metric failed.
        error: Why the program failed.
        fault: What was wrong with the metric.
        is_broke: Whether the program failed for want of money or tokens that many runs share.
    """

    example: int
    score: float | None = None
    error: str | None = None
    fault: str | None = None
    is_broke: bool = False
    trajectories: tuple[tuple[str, Trajectory], ...] = ()


def _solve(solver: dspy.Module, metric: Metric, numbered: tuple[int, dspy.Example]) -> _Solved:
    number, example = numbered
    try:
        with capture_runs() as runs, dspy.context(trace=[]):
            prediction = solver(**example.inputs())
            trace = list(dspy.settings.trace)
    except FAILURES as error:
        require_lm(error)
        told = " ".join(describe(error).split())[:_ERROR_CHARS]
        return _Solved(number, error=told, is_broke=met_shared_limit(error))
    judged = metric.judge(example, prediction, trace)
    if judged.fault is not None:
        return _Solved(number, fault=judged.fault)
    demos = ((plain_path(run.path), demonstration(run.events)) for run in runs)
    found = tuple((path, Trajectory(demo, judged.score, number)) for path, demo in demos if demo is not None)
    return _Solved(number, judged.score, trajectories=found)


@dataclass(slots=True)
class _Gathered:
    """What all examples came to."""

    trajectories: dict[str, list[Trajectory]] = field(default_factory=dict[str, list[Trajectory]])
    runs: int = 0
    good: int = 0
    failed: int = 0
    faults: int = 0
    last_fault: str = ""

    def take(self, solved: _Solved, threshold: float) -> None:
        self.runs += 1
        if solved.error is not None:
            self.failed += 1
            logger.warning("Example %d is left out, as the program raised %s", solved.example, solved.error)
        elif solved.fault is not None:
            self.faults += 1
            self.last_fault = solved.fault
            logger.warning("Example %d is left out. %s", solved.example, solved.fault)
        elif solved.score is not None and solved.score >= threshold:
            self.good += 1
            for path, trajectory in solved.trajectories:
                self.trajectories.setdefault(path, []).append(trajectory)

    def require_a_score(self, *, is_over: bool) -> None:
        """Gives up where the metric has judged no example yet, and not for want of trying.

        Raises:
            InputError: If so.
        """
        is_useless = self.faults > 0 and self.faults + self.failed == self.runs
        if is_useless and (is_over or self.faults >= _FAULTS_BEFORE_GIVING_UP):
            raise InputError(f"The metric judged none of {self.faults} predictions. {self.last_fault}")

    def tell(self, threshold: float) -> None:
        logger.info(
            "%d program runs: %d scored %g or more, %d failed, %d could not be judged.",
            self.runs,
            self.good,
            threshold,
            self.failed,
            self.faults,
        )
        if not self.trajectories:
            logger.warning("No trajectory was good enough to be a demonstration; the program is as it was.")
