"""Which proposals are kept, and which candidate is returned."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dspy
import pytest
from gepa.strategies.acceptance import AcceptanceCriterion
from gepa.strategies.eval_policy import EvaluationPolicy

from rlm_module.optimizers.evolution.cases import cases
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.evaluations import Evaluations
from rlm_module.optimizers.evolution.options import Mark
from rlm_module.optimizers.evolution.rollouts import Rollout, Rollouts
from rlm_module.optimizers.evolution.stopping import Allowance
from rlm_module.optimizers.evolution.validation import Acceptance, Finals, Found, StagedValidation
from tests.optimizers.hidden_advice import World

VAL = cases([dspy.Example(q=str(n)).with_inputs("q") for n in range(6)], "valset")
SCREEN = [0, 3]


def _side(scores: list[float], cost: float | None) -> Any:
    return SimpleNamespace(scores=scores, trajectories=[Rollout(score=score, cost_usd=cost) for score in scores])


@pytest.mark.parametrize(
    ("before", "after", "is_kept"),
    [
        (_side([0.0, 1.0], 1.0), _side([0.5, 1.0], 9.0), True),
        (_side([0.5, 1.0], 1.0), _side([0.0, 1.0], 0.1), False),
        (_side([0.0, 1.0], 1.0), _side([1.0, 0.0], 1.0), False),
        (_side([0.0, 1.0], 1.0), _side([1.0, 0.0], 0.9), True),
        (_side([0.0, 1.0], 1.0), _side([0.0, 1.0], 0.91), False),
        (_side([0.1, 0.2], 1.0), _side([0.3, 0.0], 0.5), True),
        (_side([0.0, 1.0], None), _side([0.0, 1.0], 0.1), False),
        (_side([0.0, 1.0], 0.0), _side([0.0, 1.0], 0.0), False),
    ],
)
def test_better_is_kept_and_so_is_as_good_at_a_tenth_less(before: Any, after: Any, is_kept: bool) -> None:
    acceptance = Acceptance()
    assert isinstance(acceptance, AcceptanceCriterion)
    assert acceptance.should_accept(SimpleNamespace(eval_before=before, eval_after=after), None) is is_kept


def test_later_candidates_are_first_seen_on_a_part() -> None:
    policy = StagedValidation(SCREEN)
    assert isinstance(policy, EvaluationPolicy)
    loader = SimpleNamespace(all_ids=lambda: range(6))
    assert policy.get_seed_eval_batch(loader) == [0, 1, 2, 3, 4, 5]
    assert policy.get_eval_batch(loader, None) == SCREEN
    state = SimpleNamespace(
        program_candidates=[{}, {}, {}],
        prog_candidate_val_subscores=[dict.fromkeys(range(6), 0.9), {0: 1.0, 3: 0.9}, {0: 0.9, 3: 1.0}],
    )
    assert policy.get_best_program(state) == 2


class _Finals:
    """Candidates whose scores and costs on the validation examples are given."""

    def __init__(self, table: dict[str, list[float]], costs: dict[str, float] | None = None, runs: int = 99) -> None:
        def run(program: Any, example: dspy.Example) -> Rollout:
            name = program.first.signature.instructions
            return Rollout(score=table[name][int(example.q)], cost_usd=(costs or {}).get(name, 1.0))

        student = World().program()
        self.allowance = Allowance(runs, None)
        rollouts = Rollouts(student, Components(student), run, self.allowance, Evaluations())
        self.found = [Found(number, {"first": name}, ()) for number, name in enumerate(table)]
        for one in self.found:
            rollouts.run(one.texts, [VAL[index] for index in (range(6) if one.number == 0 else SCREEN)])
        self.finals = Finals(rollouts, VAL, SCREEN, Mark(1.0))

    def best(self) -> int:
        self.finals.validate(self.found)
        return self.finals.best(self.finals.candidates(self.found))

    @property
    def front(self) -> tuple[int, ...]:
        return self.finals.front(self.finals.candidates(self.found))


def test_the_best_in_full_is_returned() -> None:
    finals = _Finals({"seed": [0.5] * 6, "lucky": [1, 0, 0, 1, 0, 0], "good": [0.9] * 6})
    assert finals.best() == 2
    assert finals.allowance.runs == 6 + 6 + 6


def test_what_is_worse_than_the_student_is_not() -> None:
    assert _Finals({"seed": [0.5] * 6, "lucky": [1, 0, 0, 1, 0, 0]}).best() == 0


def test_ties_go_to_the_cheaper() -> None:
    finals = _Finals({"seed": [0.9] * 6, "same": [0.9] * 6, "cheap": [0.9] * 6}, {"cheap": 0.5})
    assert finals.best() == 2
    assert 2 in finals.front
    assert 0 not in finals.front


def test_what_can_no_longer_win_is_not_run() -> None:
    finals = _Finals({"seed": [0.5] * 6, "good": [1.0] * 6, "poor": [0.1] * 6})
    assert finals.best() == 1
    assert finals.allowance.runs == 6 + 6 + 2


def test_what_cannot_be_paid_is_not_run() -> None:
    finals = _Finals({"seed": [0.5] * 6, "good": [1.0] * 6}, runs=9)
    assert finals.best() == 0
    assert finals.allowance.runs == 8


def test_costs_are_told_on_the_same_examples() -> None:
    dear = cases([dspy.Example(q=f"dear {n}").with_inputs("q") for n in range(4)], "trainset")

    def run(program: Any, example: dspy.Example) -> Rollout:
        cost = {"seed": 0.01, "longer": 0.02, "partial": 0.03}[program.first.signature.instructions]
        is_dear = example.q in ("dear 0", "dear 1", "dear 2", "dear 3", "5")
        return Rollout(score=1.0, cost_usd=1.0 if is_dear else cost, seconds=9.0 if is_dear else cost)

    student = World().program()
    rollouts = Rollouts(student, Components(student), run, Allowance(99, None), Evaluations())
    found = [Found(number, {"first": name}, ()) for number, name in enumerate(("seed", "longer", "partial"))]
    rollouts.run(found[0].texts, [*dear, *VAL[:5]])
    rollouts.run(found[1].texts, [*dear[:1], *VAL[:5]])
    rollouts.run(found[2].texts, [VAL[0], VAL[3], VAL[4]])
    finals = Finals(rollouts, VAL[:5], [0, 3], Mark(1.0))
    candidates = finals.candidates(found)
    assert [one.cost_usd for one in candidates] == pytest.approx([0.01, 0.02, 0.03])
    assert [one.seconds for one in candidates] == pytest.approx([0.01, 0.02, 0.03])
    assert (finals.best(candidates), finals.front(candidates)) == (0, (0,))
    rollouts.run(found[2].texts, [VAL[5]])  # an example that the others were not run on
    partly = Finals(rollouts, VAL, [0, 3], Mark(1.0)).candidates(found)
    assert [one.cost_usd for one in partly] == pytest.approx([0.01, 0.02, 0.03])
