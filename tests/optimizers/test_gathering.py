"""What becomes of each example, and when a metric that judges nothing ends it all."""

from __future__ import annotations

import dspy
import pytest

from rlm_module import InputError
from rlm_module.optimizers import Gathering, Metric
from rlm_module.optimizers.gathering import Harvest, Solved, solve
from tests.optimizers.programs import TwoStep, exact, example, number_lm


def test_an_example_that_is_solved_gives_a_trajectory_of_each_rlm() -> None:
    with dspy.context(lm=number_lm()):
        solved = solve(TwoStep(), Metric(exact), 4, example(1))
    assert (solved.number, solved.score, solved.error, solved.fault) == (4, 1.0, None, None)
    assert [path for path, _ in solved.trajectories] == ["reader", "writer"]
    assert {(trajectory.score, trajectory.example) for _, trajectory in solved.trajectories} == {(1.0, 4)}


def test_why_there_is_none_is_told_in_a_line() -> None:
    with dspy.context(lm=number_lm()):
        failed = solve(TwoStep(), Metric(exact), 0, dspy.Example(context="x\ny").with_inputs("context"))
        unjudged = solve(TwoStep(), Metric(lambda gold, pred: None), 0, example(1))
    assert failed.error is not None
    assert failed.error.startswith("TypeError: ")
    assert "\n" not in failed.error
    assert unjudged.fault == "The metric returned None as its score; return a finite number."
    assert (failed.trajectories, unjudged.trajectories) == ((), ())


def test_each_example_is_counted_as_what_it_came_to() -> None:
    harvest = Harvest(0.5)
    for solved in (Solved(0, 0.5), Solved(1, 0.4), Solved(2, error="ValueError: no"), Solved(3, fault="It raised.")):
        harvest.take(solved)
    assert harvest.gathering(0.25) == Gathering(runs=4, good=1, failed=1, unjudged=1, cost_usd=0.25)


def test_three_without_a_score_are_enough_unless_any_had_one() -> None:
    useless, useful = Harvest(0.5), Harvest(0.5)
    useful.take(Solved(0, 0.0))
    for number in range(1, 4):
        for harvest in (useless, useful):
            harvest.require_a_score(is_over=False)
            harvest.take(Solved(number, fault="It raised."))
    useful.require_a_score(is_over=True)
    with pytest.raises(InputError, match=r"^The metric judged none of 3 predictions\. It raised\.$"):
        useless.require_a_score(is_over=False)
