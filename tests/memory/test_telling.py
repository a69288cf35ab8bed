"""A turn tells of the day it was said on, and of days that its words name or count to."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.memory import Turn
from rlm_module.memory.telling import tells_of

SAID_ON = dt.datetime(2024, 3, 13, 18, tzinfo=dt.UTC)  # a Wednesday


def _tells(text: str, day: str | dt.date) -> bool:
    turn = Turn(role="user", text=text, ts=SAID_ON)
    return tells_of(turn, dt.date.fromisoformat(day) if isinstance(day, str) else day)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("I ran.", "2024-03-13"),
        ("I ran yesterday.", "2024-03-12"),
        ("I ran last Friday.", "2024-03-08"),
        ("I ran in the park last month.", "2024-02-20"),
        ("I ran 10 days ago.", "2024-03-03"),
        ("I will run in twenty-five days.", "2024-04-07"),
        ("I have run for three months now.", "2023-12-13"),
        ("I ran a couple of weeks ago.", "2024-02-28"),
        ("I bought 2 cats a week ago.", "2024-03-06"),
        ("I ran a fortnight ago.", "2024-02-28"),
        ("I ran on Monday.", "2024-03-11"),
        ("I ran over the weekend.", "2024-03-10"),
        ("I ran on February 3rd.", "2024-02-03"),
        ("I ran on the 3rd of Feb, 12 km.", "2024-02-03"),
        ("I ran in mid-February, 12 km.", "2024-02-15"),
        ("I ran on 2/14.", "2024-02-14"),
        ("I ran on 2019-05-06.", "2019-05-06"),
        ("I was born in 1990.", "1990-06-01"),
        ("I ran on the 2nd.", "2024-03-02"),
        ("I ran on Valentine\u2019s day.", "2024-02-14"),
        ("I ran on May 2.", "2023-05-02"),
        ("I ran in May.", "2023-05-20"),
    ],
)
def test_a_day_is_told_by_words_and_by_the_time_they_were_said(text: str, day: str) -> None:
    assert _tells(text, day)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("I ran.", "1999-01-01"),
        ("I ran.", "2024-03-12"),
        ("I ran 10 days ago.", "2024-03-04"),
        ("I ran 3 times, days ago.", "2024-03-10"),
        ("I ran a few days ago.", "2024-03-10"),
        ("I may run.", "2024-05-10"),
        ("I ran on February 3rd.", "2024-02-04"),
        ("I ran on February 3rd.", "2020-02-03"),
        ("I ran on February 3rd, 2023.", "2023-03-01"),
        ("I ran 2 times for 14 minutes.", "2024-02-14"),
        ("I ran on Monday.", "2024-01-01"),
        ("I ran on the 2nd.", "2023-11-02"),
    ],
)
def test_no_other_day_is_told(text: str, day: str) -> None:
    assert not _tells(text, day)


@given(st.text(), st.dates())
def test_any_text_and_day_can_be_asked_about(text: str, day: dt.date) -> None:
    assert isinstance(_tells(f"{text} 3 days, last year, in May", day), bool)
