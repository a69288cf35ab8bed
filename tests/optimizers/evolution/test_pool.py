"""Which candidate a proposal is based on, and on which examples: those that did not go well or were not seen."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import dspy

from rlm_module.optimizers.evolution.cases import cases
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.evaluations import Evaluations
from rlm_module.optimizers.evolution.options import Mark, Options
from rlm_module.optimizers.evolution.pool import Pool
from rlm_module.optimizers.evolution.rollouts import Rollout, Rollouts
from rlm_module.optimizers.evolution.stopping import Allowance, Stopper
from tests.optimizers.hidden_advice import World

TRAIN = cases([dspy.Example(q=str(n)).with_inputs("q") for n in range(8)], "trainset")


class _Pool:
    """A pool over candidates whose scores are given, by name and example."""

    def __init__(self, solved: Mapping[str, set[int]], val: Mapping[str, list[float]] | None = None) -> None:
        self.runs: list[tuple[str, int]] = []

        def run(program: Any, example: dspy.Example) -> Rollout:
            name = program.first.signature.instructions
            self.runs.append((name, int(example.q)))
            return Rollout(score=float(int(example.q) in solved[name]))

        student, allowance = World().program(), Allowance(None, None)
        self.stopper = Stopper(allowance, 10)
        self.rollouts = Rollouts(student, Components(student), run, allowance, Evaluations())
        options = Options(
            metric=len, reflection_lm=len, max_runs=None, max_cost_usd=None, patience=10, minibatch_size=2,
            learn=(), max_text_chars=100, num_threads=1, seed=0, show_progress=False, perfect_score=1.0,
        )  # fmt: skip
        self.pool = Pool(self.rollouts, TRAIN, TRAIN[:4], options, Mark(1.0), self.stopper)
        names = list(solved)
        self.state = SimpleNamespace(
            program_candidates=[{"first": name} for name in names],
            parent_program_for_candidate=[[None if n == 0 else n - 1] for n in range(len(names))],
            prog_candidate_val_subscores=[dict(enumerate((val or {}).get(name, [0.0] * 4))) for name in names],
        )

    def sample(self) -> tuple[str, list[int]]:
        """The parent and the minibatch of the next proposal; empty where there is none."""
        tasks = self.pool.sample_tasks(self.state, None, None, None)
        if not tasks:
            return "", []
        (task,) = tasks
        return task.parent_candidate["first"], task.minibatch_ids


def test_examples_that_go_well_are_passed_over() -> None:
    pool = _Pool({"seed": {0, 1, 2, 3, 4, 5}})
    _, batch = pool.sample()
    assert set(batch[:2]) == {6, 7}
    assert pool.stopper.reason == ""


def test_one_that_goes_well_is_there_to_see_that_it_stays_so() -> None:
    pool = _Pool({"seed": {0, 1, 2, 3}})
    pool.rollouts.run({"first": "seed"}, TRAIN)
    pool.runs.clear()
    batches = [pool.sample()[1] for _ in range(4)]
    assert all(len(batch) == 3 and batch[2] < 4 for batch in batches)
    assert {batch[2] for batch in batches} == {0, 1, 2, 3}
    assert pool.runs == []


def test_each_example_has_its_turn_before_any_has_another() -> None:
    pool = _Pool({"seed": set()})
    seen = [number for _ in range(4) for number in pool.sample()[1]]
    assert sorted(seen) == list(range(8))
    assert pool.pool.step is not None
    assert not pool.pool.step.is_stuck
    pool.sample()
    assert pool.pool.step.is_stuck


def test_what_an_ancestor_solved_is_believed_to_stay_so() -> None:
    pool = _Pool({"seed": {0, 1, 2, 3}, "child": {0, 1, 2, 3, 4, 5, 6}}, {"child": [1.0] * 4})
    pool.rollouts.run({"first": "seed"}, TRAIN)
    pool.runs.clear()
    parent, batch = pool.sample()
    assert parent == "child"
    assert batch[0] == 7
    assert set(batch[1:]) <= {4, 5, 6}  # one that it solved itself
    assert {name for name, _ in pool.runs} == {"child"}
    assert {number for _, number in pool.runs} == {4, 5, 6, 7}


def test_it_is_over_where_all_is_solved() -> None:
    pool = _Pool({"seed": set(range(8))})
    assert pool.sample() == ("", [])
    assert pool.stopper.reason == "every training example is solved"


def test_parents_are_those_that_are_best_on_some_example() -> None:
    val = {"seed": [0.0, 0.0, 0.0, 0.0], "left": [1.0, 1.0, 0.0, 0.0], "right": [0.0, 0.0, 0.0, 1.0]}
    pool = _Pool({name: set() for name in val}, val)
    parents = {pool.sample()[0] for _ in range(30)}
    assert parents == {"left", "right"}


def test_the_later_of_two_that_are_alike_is_the_parent() -> None:
    val = {"seed": [1.0, 0.0, 1.0, 0.0], "child": [1.0, 0.0, 1.0, 0.0]}
    pool = _Pool({name: set() for name in val}, val)
    assert {pool.sample()[0] for _ in range(10)} == {"child"}


def test_the_same_seed_chooses_the_same() -> None:
    one, other = (_Pool({"seed": {1, 4}}) for _ in range(2))
    assert [one.sample() for _ in range(5)] == [other.sample() for _ in range(5)]
