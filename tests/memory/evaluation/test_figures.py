"""Shares with their intervals, and spreads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.memory.evaluation.figures import Share, mean_share, share, spread


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (95, 100, 0.8883, 0.9785)],
)
def test_intervals_are_wilsons(hits: int, of: int, low: float, high: float) -> None:
    found = share(hits, of)
    assert (found.value, found.of) == (hits / of, of)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_an_interval_holds_its_share(pair: tuple[int, int]) -> None:
    found = share(*pair)
    assert found.value is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_nothing_has_no_share() -> None:
    assert share(0, 0) == Share(None, 0.0, 1.0, 0)
    assert mean_share([share(0, 0)]).value is None


def test_a_mean_of_shares_counts_each_alike() -> None:
    found = mean_share([share(1, 1), share(0, 100), share(0, 0)])
    assert (found.value, found.of) == (0.5, 101)
    assert 0 < found.low < 0.5 < found.high < 1
    alone = share(5, 10)
    assert mean_share([alone]) == alone


def test_spreads() -> None:
    found = spread([float(number) for number in range(100, 0, -1)])
    assert (found.mean, found.median, found.p95) == (50.5, 50.5, 95.0)
    assert (spread([2.0]).p95, spread([]).mean) == (2.0, None)
