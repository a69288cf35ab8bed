from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlm_module.optimizers.choosing import Trajectory, chosen_few
from rlm_module.prompting.demos import DEMO_TOKENS


def _trajectory(score: float, example: int, code: str, task: str = "the task", turns: int = 1) -> Trajectory:
    said = {"request": task, "reasoning": "why", "code": code}
    return Trajectory({"turns": [said] * turns}, score, example)


def _examples(chosen: list[Trajectory]) -> list[int]:
    return [one.example for one in chosen]


def test_the_score_comes_first_then_brevity() -> None:
    best_but_long = _trajectory(1.0, 1, "a = count(rows)", turns=30)
    best = _trajectory(1.0, 2, "b = search(text)")
    brief = _trajectory(0.9, 3, "c")
    assert _examples(chosen_few([brief, best_but_long, best], 3)) == [2, 1, 3]


def test_among_equals_the_one_that_differs_is_taken() -> None:
    counting = _trajectory(1.0, 1, "n = sum(row['x'] for row in rows)\nprint(n)", "count the rows")
    counting_again = _trajectory(1.0, 2, "n = sum(row['y'] for row in rows)\nprint(n)", "count the rows")
    searching = _trajectory(1.0, 3, "import re\nfor hit in re.finditer(a, b): print(hit)", "find the word")
    assert _examples(chosen_few([counting, counting_again, searching], 2)) == [1, 3]


def test_one_that_does_not_differ_is_not_taken() -> None:
    same = [_trajectory(1.0, number, "n = sum(row['x'] for row in rows)\nprint(n)") for number in range(5)]
    assert _examples(chosen_few(same, 3)) == [0]


def test_brevity_counts_for_more_than_being_different() -> None:
    short = _trajectory(1.0, 1, "n = sum(row['x'] for row in rows)\nprint(n)")
    similar = _trajectory(1.0, 2, "n = sum(row['y'] for row in rows)\nprint(n)")
    other = _trajectory(1.0, 3, "for hit in search(text): ask(hit)", "another task", turns=9)
    assert _examples(chosen_few([other, short, similar], 2)) == [1, 2]


def test_all_that_are_taken_fit_together() -> None:
    large = [_trajectory(1.0, number, f"{name} " * DEMO_TOKENS) for number, name in ((1, "ab"), (2, "cd"))]
    assert 0.5 * DEMO_TOKENS < large[0].tokens < DEMO_TOKENS
    assert _examples(chosen_few(large, 2)) == [1]


def test_what_does_not_fit_is_not_taken() -> None:
    large = _trajectory(1.0, 1, "x" * (4 * DEMO_TOKENS))
    small = _trajectory(0.5, 2, "y = 1")
    assert _examples(chosen_few([large, small], 3)) == [2]


@given(
    st.lists(st.builds(_trajectory, st.floats(0, 1), st.integers(0, 99), st.text(max_size=40), st.text(max_size=40))),
    st.integers(1, 5),
)
def test_the_first_has_the_best_score_and_all_fit(trajectories: list[Trajectory], count: int) -> None:
    chosen = chosen_few(trajectories, count)
    assert len(chosen) <= count
    assert sum(one.tokens for one in chosen) <= DEMO_TOKENS
    scores = [round(one.score, 6) for one in chosen]
    assert scores == sorted(scores, reverse=True)
    assert bool(chosen) == bool(trajectories)
    if chosen:
        assert scores[0] == max(round(one.score, 6) for one in trajectories)
