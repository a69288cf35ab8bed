"""A compile spends no more than it may, keeps what its end needs, and has an end."""

from __future__ import annotations

import pytest

from rlm_module.optimizers.evolution.stopping import Allowance, Exhausted, Stopper


def test_runs_are_counted_and_refused() -> None:
    allowance = Allowance(5, None)
    allowance.admit(5)
    for _ in range(4):
        allowance.book_run(0.1)
    allowance.admit(1)
    with pytest.raises(Exhausted, match="program runs"):
        allowance.admit(2)
    allowance.kept_runs = 1
    assert not allowance.can_run(1)


def test_money_is_of_both_and_a_batch_has_to_fit_by_its_mean() -> None:
    allowance = Allowance(None, 1.0)
    allowance.book_run(0.3)
    allowance.book_reflection(0.2)
    allowance.admit(1)
    with pytest.raises(Exhausted, match="money"):
        allowance.admit(2)
    allowance.book_reflection(0.5)
    with pytest.raises(Exhausted, match="money"):
        allowance.admit_reflection()
    assert (allowance.cost_usd, allowance.reflection_cost_usd) == pytest.approx((1.0, 0.7))


def test_a_cost_that_is_not_known_stays_so() -> None:
    allowance = Allowance(None, None)
    allowance.book_run(None)
    allowance.book_run(0.5)
    allowance.book_reflection(0.25)
    assert allowance.cost_usd is None
    assert allowance.reflection_cost_usd == pytest.approx(0.25)


def test_patience_counts_failures_in_a_row() -> None:
    stopper = Stopper(Allowance(None, None), 2)
    for succeeds in (False, True, False):
        if succeeds:
            stopper.succeeded()
        stopper.ended()
        assert not stopper(None)
    stopper.ended()
    assert stopper(None)
    assert stopper.reason == "no better candidate for a while"


def test_the_first_reason_counts() -> None:
    allowance = Allowance(1, None)
    stopper = Stopper(allowance, 1)
    stopper.stop("every training example is solved")
    allowance.book_run(0.0)
    stopper.ended()
    assert stopper(None)
    assert stopper.reason == "every training example is solved"
