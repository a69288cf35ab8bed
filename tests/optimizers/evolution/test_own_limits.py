"""Where the compile's money ends, a run says nothing of its candidate, though its RLM may have a limit of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from rlm_module import RLM, Budget, FatalError, spending
from rlm_module.optimizers import RLMGEPA
from rlm_module.optimizers.evolution.stopping import Allowance
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, fields, said, turn

PRICES = {"scripted/model": (0.0, 1_000.0)}  # a call costs half a cent, and may cost a whole one
TRAIN = [dspy.Example(q=f"q{number}", a="good").with_inputs("q") for number in range(6)]


def _is_turn(request: Request) -> bool:
    return "[[ ## code ## ]]" in str(request.system)


def _root(request: Request) -> str:
    if not _is_turn(request):
        return fields(a="extracted")
    return turn("SUBMIT(a='good')") if "Turn 4" in said(request) else turn("print(1)")


class _Program(dspy.Module):
    """Answers "unknown" where its RLM has no answer, if it makes do with that."""

    def __init__(self, own: Budget, *, frozen: bool, makes_do: bool) -> None:
        super().__init__()
        self.rlm = RLM("q -> a", interpreter_factory=FakeInterpreter, budget=own)
        self.plain = dspy.Predict("q -> b")
        self.makes_do = makes_do
        if frozen:
            self.rlm._compiled = True

    def forward(self, q: str) -> Any:
        try:
            return self.rlm(q=q)
        except FatalError:
            if self.makes_do:
                return dspy.Prediction(a="unknown")
            raise


def _compile(
    folder: Path, most: float, own: Budget, *, frozen: bool = False, makes_do: bool = False, root: Any = _root
) -> Any:
    optimizer = RLMGEPA(
        lambda example, prediction: float(example.a == prediction.a),
        reflection_lm=lambda request: "",
        max_cost_usd=most,
        run_dir=folder,
        patience=1,
        num_threads=1,
        show_progress=False,
    )
    with dspy.context(lm=ScriptedLM(root, max_tokens=10)), spending(Budget(prices=PRICES)):
        return optimizer.compile(_Program(own, frozen=frozen, makes_do=makes_do), trainset=TRAIN).compilation


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("own", [Budget(), Budget(cost_usd=5.0)])
@pytest.mark.parametrize("most", [0.075, 0.08], ids=["in its first turn", "later"])
def test_a_run_that_the_compiles_money_ended_is_not_judged(
    tmp_path: Path, most: float, own: Budget, frozen: bool
) -> None:
    first = _compile(tmp_path, most, own, frozen=frozen)
    assert first.stopped == "money"
    assert set(first.candidates[0].scores.values()) == {1.0}
    kept = [json.loads(line) for line in (tmp_path / "evaluations.jsonl").read_text().splitlines()]
    assert all(line["rollout"]["score"] == 1.0 for line in kept if "rollout" in line)
    assert any("rollout" not in line for line in kept)
    second = _compile(tmp_path, 1.0, own, frozen=frozen)
    assert set(second.candidates[0].scores.values()) == {1.0}
    assert len(second.candidates[0].scores) == len(TRAIN)


def _never_drawn_up(request: Request) -> str:
    return _root(request) if _is_turn(request) else "That is all."


@pytest.mark.parametrize(("root", "most"), [(_root, 0.075), (_never_drawn_up, 0.08)])
def test_nor_is_one_whose_program_makes_do_without_an_answer(tmp_path: Path, root: Any, most: float) -> None:
    first = _compile(tmp_path, most, Budget(), makes_do=True, root=root)
    assert first.stopped == "money"
    assert set(first.candidates[0].scores.values()) == {1.0}


def test_one_that_its_own_limit_ended_is(tmp_path: Path) -> None:
    found = _compile(tmp_path, 5.0, Budget(cost_usd=0.03))
    assert set(found.candidates[0].scores.values()) == {0.0}


def test_money_that_bought_nothing_does_not_make_runs_look_dear() -> None:
    allowance = Allowance(None, 1.0, lost_run_usd=0.5)
    assert allowance.can_run(10)
    assert allowance.cost_usd == 0.5
