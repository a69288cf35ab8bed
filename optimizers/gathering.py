"""What gathering demonstrations comes to: what became of each example, and the trajectories of those that went well."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import dspy

from rlm_module import capture_runs
from rlm_module.errors import InputError, describe, met_shared_limit
from rlm_module.optimizers.choosing import Trajectory
from rlm_module.optimizers.failures import FAILURES, require_lm
from rlm_module.optimizers.metrics import Metric
from rlm_module.optimizers.paths import plain_path
from rlm_module.optimizers.shortening import one_line
from rlm_module.prompting.demos import demonstration

logger = logging.getLogger(__name__)

_UNJUDGED_BEFORE_GIVING_UP = 3
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


@dataclass(frozen=True, slots=True)
class Solved:
    """What became of one example: trajectories by path, or why there are none.

    Args:
        number: That of the example.
        score: None where the program or the metric failed.
        error: Why the program failed.
        fault: What was wrong with the metric.
        is_broke: Whether the program failed for want of money or tokens that many runs share.
        trajectories: Those of the RLMs that submitted an answer.
    """

    number: int
    score: float | None = None
    error: str | None = None
    fault: str | None = None
    is_broke: bool = False
    trajectories: tuple[tuple[str, Trajectory], ...] = ()


def solve(program: dspy.Module, metric: Metric, number: int, example: dspy.Example) -> Solved:
    """Has a program solve an example.

    Raises:
        InputError: If no run can succeed, since there is no LM.
    """
    try:
        with capture_runs() as runs, dspy.context(trace=[]):
            prediction = program(**example.inputs())
            trace = list(dspy.settings.trace)
    except FAILURES as error:
        require_lm(error)
        return Solved(number, error=one_line(describe(error), _ERROR_CHARS), is_broke=met_shared_limit(error))
    judged = metric.judge(example, prediction, trace)
    if judged.fault is not None:
        return Solved(number, fault=judged.fault)
    demos = ((plain_path(run.path), demonstration(run.events)) for run in runs)
    found = tuple((path, Trajectory(demo, judged.score, number)) for path, demo in demos if demo is not None)
    return Solved(number, judged.score, trajectories=found)


@dataclass(slots=True)
class Harvest:
    """The good trajectories of all examples by path, and how many examples came to what.

    Args:
        threshold: The least score of a good one.
    """

    threshold: float
    trajectories: dict[str, list[Trajectory]] = field(default_factory=dict[str, list[Trajectory]])
    runs: int = 0
    good: int = 0
    failed: int = 0
    unjudged: int = 0
    _last_fault: str = ""

    def take(self, solved: Solved) -> None:
        """Adds what became of an example."""
        self.runs += 1
        if solved.error is not None:
            self.failed += 1
            logger.warning("Example %d is left out, as the program raised %s", solved.number, solved.error)
        elif solved.fault is not None:
            self.unjudged += 1
            self._last_fault = solved.fault
            logger.warning("Example %d is left out. %s", solved.number, solved.fault)
        elif solved.score is not None and solved.score >= self.threshold:
            self.good += 1
            for path, trajectory in solved.trajectories:
                self.trajectories.setdefault(path, []).append(trajectory)

    def require_a_score(self, *, is_over: bool) -> None:
        """Gives up where the metric has judged no example yet, and not for want of trying.

        Raises:
            InputError: If so.
        """
        is_useless = self.unjudged > 0 and self.unjudged + self.failed == self.runs
        if is_useless and (is_over or self.unjudged >= _UNJUDGED_BEFORE_GIVING_UP):
            raise InputError(f"The metric judged none of {self.unjudged} predictions. {self._last_fault}")

    def gathering(self, cost_usd: float | None) -> Gathering:
        """The record of it, which is logged, too."""
        logger.info(
            "%d program runs: %d scored %g or more, %d failed, %d could not be judged.",
            self.runs,
            self.good,
            self.threshold,
            self.failed,
            self.unjudged,
        )
        if not self.trajectories:
            logger.warning("No trajectory was good enough to be a demonstration; the program is as it was.")
        return Gathering(runs=self.runs, good=self.good, failed=self.failed, unjudged=self.unjudged, cost_usd=cost_usd)
