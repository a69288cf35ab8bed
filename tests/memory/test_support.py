"""Figures in an answer are reckoned from what the turns state."""

from __future__ import annotations

import datetime as dt
from typing import Any

import dspy
import pytest

from rlm_module.memory import Turn
from rlm_module.memory.support import Answered, Item, is_supported

TURNS = [
    Turn(
        id="s.0",
        role="user",
        text="I bought a guitar for $1,200 and a drum.",
        ts=dt.datetime(2024, 3, 1, tzinfo=dt.UTC),
    ),
    Turn(id="s.1", role="user", text="The violin was fifty dollars.", ts=dt.datetime(2024, 3, 9, tzinfo=dt.UTC)),
    Turn(id="s.2", role="user", text="I have played since last December.", ts=dt.datetime(2024, 3, 20, tzinfo=dt.UTC)),
]
AS_OF = dt.datetime(2024, 3, 15, 12, tzinfo=dt.UTC)


def _is_supported(
    answer: str, kind: str, items: Any = (), dates: Any = (), *, follows: Any = True, question: str = "How long?"
) -> bool:
    verdict = dspy.Prediction(kind=kind, follows=follows, counted=[Item(**item) for item in items], dates=list(dates))
    return is_supported(verdict, Answered(question=question, as_of=AS_OF, answer=answer, turns=TURNS))


def _things(*names: str, turn: str = "s.0", **amount: float) -> list[dict[str, Any]]:
    return [{"what": name, "turn": turn, **amount} for name in names]


@pytest.mark.parametrize(
    ("answer", "items", "is_right"),
    [
        ("3", _things("guitar", "drum", "violin"), True),
        ("Three instruments.", _things("guitar", "drum", "violin"), True),
        ("4", _things("guitar", "drum", "violin"), False),
        ("2", _things("guitar", "Guitar ", "drum"), True),  # the same thing twice
        ("3", _things("guitar", "Guitar ", "drum"), False),
        ("2", _things("guitar", "drum", turn="x.9"), False),
        ("None", [], True),
        ("1", [], False),
        ("Some", _things("guitar"), False),
        ("You have bought a total of 9 instruments", _things("guitar"), False),
        ("A guitar", _things("guitar"), True),
        ("9 instruments in 2 years", _things("guitar", "drum"), False),
        ("2 instruments in 9 years", _things("guitar", "drum"), True),
        ("twenty-five", _things(*(f"guitar {number}" for number in range(25))), True),
        ("twenty-five", _things(*(f"guitar {number}" for number in range(20))), False),
    ],
)
def test_a_count_is_that_of_the_things_listed(answer: str, items: Any, is_right: bool) -> None:
    assert _is_supported(answer, "count", items) is is_right


@pytest.mark.parametrize(
    ("answer", "items", "is_right"),
    [
        ("$1,250", [*_things("guitar", amount=1200), *_things("violin", turn="s.1", amount=50)], True),
        ("$1,300", [*_things("guitar", amount=1200), *_things("violin", turn="s.1", amount=50)], False),
        (
            "$1,300",
            [*_things("guitar", amount=1200), *_things("violin", turn="s.1", amount=100)],
            False,
        ),  # no turn says 100
        ("$9,000, for 1,200 strings", _things("guitar", amount=1200), False),
        ("$1,200 + $50 = $1,250", [*_things("guitar", amount=1200), *_things("violin", turn="s.1", amount=50)], True),
        ("$1,200", _things("guitar", turn="s.7", amount=1200), False),
        ("0", [], False),
    ],
)
def test_a_sum_is_that_of_amounts_that_turns_state(answer: str, items: Any, is_right: bool) -> None:
    assert _is_supported(answer, "sum", items, question="How much did I spend?") is is_right


@pytest.mark.parametrize(
    ("answer", "dates", "is_right"),
    [
        ("14 days", ("2024-03-01", "2024-03-15"), True),
        ("14 days", ("2024-03-15", "2024-03-01"), True),
        ("15 days", ("2024-03-01", "2024-03-15"), False),
        ("Two weeks ago", ("2024-03-01", "2024-03-15"), True),
        ("about 3 months", ("2023-12-31", "2024-03-20"), True),
        ("5 months", ("2023-12-31", "2024-03-20"), False),
        ("14", ("2024-03-01", "2024-03-15"), False),
        ("14 days", ("2024-03-01",), False),
        ("14 days", (), False),
        ("8 days", ("2024-03-01", "2024-03-09"), True),
        ("3 days", ("1999-01-01", "1999-01-04"), False),  # no turn tells of them
        ("12 days", ("2024-03-01", "2024-03-13"), False),
    ],
)
def test_a_duration_is_that_between_its_dates(answer: str, dates: tuple[str, ...], is_right: bool) -> None:
    days = [dt.date.fromisoformat(text) for text in dates]
    assert _is_supported(answer, "duration", dates=days) is is_right


@pytest.mark.parametrize(
    ("question", "answer", "is_right"),
    [
        ("How many days passed between the guitar and now?", "14", True),
        ("How many days passed between the guitar and now?", "15", False),
        ("How many whole weeks have I had the guitar?", "2", True),
        ("How many days of the month passed?", "2", False),  # the unit that is asked for, not any
        ("Since when, in days?", "14", True),
        ("How old is my guitar?", "14", False),
        ("How many days passed?", "2 weeks", True),  # the answer's own unit comes first
    ],
)
def test_a_duration_without_a_unit_is_in_that_of_the_question(question: str, answer: str, is_right: bool) -> None:
    dates = (dt.date(2024, 3, 1), dt.date(2024, 3, 15))
    assert _is_supported(answer, "duration", dates=dates, question=question) is is_right


@pytest.mark.parametrize("kind", ["statement", "preference", "count"])
def test_what_does_not_follow_is_not_saved_by_its_figures(kind: str) -> None:
    assert not _is_supported("1", kind, _things("guitar"), follows=False)


@pytest.mark.parametrize("kind", ["statement", "preference"])
def test_of_a_statement_and_a_preference_the_verdict_decides(kind: str) -> None:
    assert _is_supported("Something with strings", kind)


@pytest.mark.parametrize("follows", ["true", None, 1, "yes"])
def test_only_a_plain_yes_counts(follows: Any) -> None:
    assert not _is_supported("A guitar", "statement", follows=follows)
