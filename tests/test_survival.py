"""A run that is killed at any point goes on to the same answer, and pays twice only for what was in flight."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.survival import CONCURRENCY, PAID_CALLS, Point, Survived, points, survive, undisturbed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Survived:
    return undisturbed(tmp_path_factory.mktemp("undisturbed") / "run")


def test_the_undisturbed_run_makes_thirty_calls_and_one_tool_call(whole: Survived) -> None:
    assert whole.answer is not None
    assert whole.answer.count("re ") == PAID_CALLS - 4 - 4
    assert (whole.requests, whole.twice, whole.in_flight, whole.notes) == (PAID_CALLS, 0, 0, 1)


@pytest.mark.parametrize("point", points(12), ids=lambda point: f"{point.kind}-{point.at}")
def test_a_killed_run_ends_with_the_same_answer_and_pays_twice_at_most_for_what_was_in_flight(
    point: Point, whole: Survived, tmp_path: Path
) -> None:
    survived = survive(point, tmp_path / "run")
    assert survived.answer == whole.answer
    assert 0 <= survived.twice <= survived.in_flight <= CONCURRENCY
    assert survived.notes <= 2
