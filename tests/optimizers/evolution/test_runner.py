"""What a run of a program within a compile costs, whichever LMs its parts bring along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dspy
import pytest

from rlm_module import Budget, spending
from rlm_module.optimizers import RLMGEPA
from tests.scripted import ScriptedLM, fields

_PRICES = {"scripted/model": (0.0, 0.0), "dear/model": (0.0, 1_000_000.0)}
"""A call of the dear LM returns 5 tokens: five dollars."""
_EXAMPLES = [dspy.Example(q=str(n), a="right").with_inputs("q") for n in range(4)]


def _dear() -> ScriptedLM:
    return ScriptedLM(lambda request: fields(a="wrong", b="wrong"), model="dear/model", max_tokens=5)


class InContext(dspy.Module):
    """Sets the LM for itself."""

    def __init__(self, lm: ScriptedLM) -> None:
        super().__init__()
        self.answer = dspy.Predict("q -> a")
        self.lms = (lm,)

    def forward(self, q: str) -> Any:
        with dspy.context(lm=self.lms[0]):
            return self.answer(q=q)


class InFrozenPart(dspy.Module):
    """Has a part that was compiled before, and has an LM of its own."""

    def __init__(self, lm: ScriptedLM) -> None:
        super().__init__()
        self.answer = dspy.Predict("q -> a")
        self.draft = dspy.ChainOfThought("q -> b")
        self.draft.set_lm(lm)
        self.draft._compiled = True

    def forward(self, q: str) -> Any:
        self.draft(q=q)
        return self.answer(q=q)


def _compiled(make: Callable[[ScriptedLM], dspy.Module], limit: float, lm: ScriptedLM) -> Any:
    optimizer = RLMGEPA(
        lambda gold, prediction, trace=None: float(gold.a == prediction.a),
        reflection_lm=lambda request: "```\nAnother text.\n```",
        max_cost_usd=limit,
        num_threads=1,
        show_progress=False,
    )
    plain = ScriptedLM(lambda request: fields(a="wrong"))
    with dspy.context(lm=plain), spending(Budget(prices=_PRICES)) as spent:
        record = optimizer.compile(make(lm), trainset=_EXAMPLES).compilation
    assert record.cost_usd == pytest.approx(spent.usage.total.cost_usd)
    return record


def test_an_lm_that_a_program_sets_by_itself_is_counted_and_ends_the_compile() -> None:
    lm = _dear()
    record = _compiled(InContext, 0.5, lm)
    assert len(lm.requests) == 1
    assert (record.cost_usd, record.stopped) == (5.0, "money")


@pytest.mark.parametrize(("limit", "calls"), [(0.5, 0), (12.0, 2)])
def test_a_frozen_part_with_an_lm_of_its_own_is_paid_for_beforehand(limit: float, calls: int) -> None:
    lm = _dear()
    record = _compiled(InFrozenPart, limit, lm)
    assert len(lm.requests) == calls
    assert (record.cost_usd, record.stopped) == (5.0 * calls, "money")
