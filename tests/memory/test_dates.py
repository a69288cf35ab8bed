"""Which days a phrase means, and which phrases are left alone."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module import InputError
from rlm_module.memory.dates import date_diff, days_meant

WEDNESDAY = dt.date(2024, 5, 15)


@pytest.mark.parametrize(
    ("phrase", "first", "last"),
    [
        ("today", "2024-05-15", "2024-05-15"),
        ("Yesterday.", "2024-05-14", "2024-05-14"),
        ("the day before yesterday", "2024-05-13", "2024-05-13"),
        ("tomorrow", "2024-05-16", "2024-05-16"),
        ("two weeks ago", "2024-05-01", "2024-05-01"),
        ("a week ago", "2024-05-08", "2024-05-08"),
        ("10 days ago", "2024-05-05", "2024-05-05"),
        ("in three days", "2024-05-18", "2024-05-18"),
        ("in a fortnight", "2024-05-29", "2024-05-29"),
        ("two weeks from now", "2024-05-29", "2024-05-29"),
        ("three months ago", "2024-02-01", "2024-02-29"),
        ("2 years ago", "2022-01-01", "2022-12-31"),
        ("last week", "2024-05-06", "2024-05-12"),
        ("this week", "2024-05-13", "2024-05-19"),
        ("next month", "2024-06-01", "2024-06-30"),
        ("last year", "2023-01-01", "2023-12-31"),
        ("last weekend", "2024-05-11", "2024-05-12"),
        ("last Friday", "2024-05-10", "2024-05-10"),
        ("last Wednesday", "2024-05-08", "2024-05-08"),
        ("last March", "2024-03-01", "2024-03-31"),
        ("last May", "2023-05-01", "2023-05-31"),
        ("on 5 March 2024", "2024-03-05", "2024-03-05"),
        ("March 5th, 2024", "2024-03-05", "2024-03-05"),
        ("on the 5th of March 2024", "2024-03-05", "2024-03-05"),
        ("2024-03-05", "2024-03-05", "2024-03-05"),
        ("in March 2024", "2024-03-01", "2024-03-31"),
        ("Sep 2023", "2023-09-01", "2023-09-30"),
        ("in 2019", "2019-01-01", "2019-12-31"),
        ("since 2019", "2019-01-01", None),
        ("from 5 March 2024", "2024-03-05", None),
        ("until last Friday", None, "2024-05-10"),
    ],
)
def test_what_can_be_computed_is(phrase: str, first: str | None, last: str | None) -> None:
    days = days_meant(phrase, WEDNESDAY)
    found = (None, None) if days is None else (days.first, days.last)
    assert found == tuple(None if day is None else dt.date.fromisoformat(day) for day in (first, last))


@pytest.mark.parametrize(
    "phrase",
    [
        "next Friday", "on Friday", "in March", "on March 5", "a few weeks ago", "a couple of days ago", "recently",
        "some day", "31 June 2024", "two weeks", "in the 90s", "", "ago", "9999 years ago", "900 years from now 2",
        "last", "the other day", "when I was five", "5/3/2024",
    ],
)  # fmt: skip
def test_what_would_be_a_guess_is_left_alone(phrase: str) -> None:
    assert days_meant(phrase, WEDNESDAY) is None


def test_last_weekend_said_on_a_weekend_is_anybodys_guess() -> None:
    assert days_meant("last weekend", dt.date(2024, 5, 18)) is None


_days = st.dates() | st.sampled_from([dt.date.min, dt.date.max])
_words = st.sampled_from(["2", "31", "2024", "last", "next", "in", "since", "until", "ago", "weeks", "years", "March"])


@given(st.text(max_size=40) | st.lists(_words, max_size=4).map(" ".join), _days)
def test_no_text_breaks_it(phrase: str, day: dt.date) -> None:
    days = days_meant(phrase, day)
    assert days is None or (days.first or dt.date.min) <= (days.last or dt.date.max)
    assert days is None or (days.first, days.last) != (None, None)


@given(st.sampled_from(["999 years ago", "in 999 months", "yesterday", "last year", "next week"]), _days)
def test_no_day_breaks_it(phrase: str, day: dt.date) -> None:
    days = days_meant(phrase, day)
    if days is None:
        assert not 1000 <= day.year <= 9900  # what is meant lies outside of the calendar
    else:
        assert days.first is not None
        assert (days.first > day) == (phrase in ("in 999 months", "next week"))


@pytest.mark.parametrize(
    ("first", "last", "unit", "expected"),
    [
        ("2024-03-01", "2024-04-10", "days", 40),
        ("2024-04-10", "2024-03-01", "day", -40),
        ("2024-03-01", "2024-03-15", "weeks", 2),
        ("2024-01-31", "2024-02-29", "months", 1),
        ("2024-01-15", "2024-07-15", "Months", 6),
        ("2023-05-15", "2024-05-15", "years", 1),
        ("2024-01-01T10:00", "2024-01-01T11:30", "hours", 1.5),
        ("2024-01-01T23:00", "2024-01-02T01:00", "days", 1),
    ],
)
def test_two_times_are_this_far_apart(first: str, last: str, unit: str, expected: float) -> None:
    a, b = (dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) for text in (first, last))
    assert date_diff(a, b, unit) == expected


@given(st.datetimes(), st.datetimes(), st.sampled_from(["minutes", "hours", "days", "weeks", "months", "years"]))
def test_it_is_as_far_there_as_back(a: dt.datetime, b: dt.datetime, unit: str) -> None:
    assert date_diff(a, b, unit) == -date_diff(b, a, unit)


def test_an_unknown_unit_is_refused() -> None:
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    with pytest.raises(InputError, match=r"^date_diff knows no unit 'moons'; use one of minutes, hours, "):
        date_diff(moment, moment, "moons")


@pytest.mark.parametrize(
    ("first", "months"), [(dt.datetime(9999, 11, 30), 1 + 1 / 31), (dt.datetime(9999, 12, 1), 30 / 31)]
)
def test_months_are_counted_to_the_end_of_time(first: dt.datetime, months: float) -> None:
    last = dt.datetime(9999, 12, 31)
    assert date_diff(first, last, "months") == pytest.approx(months)
    assert date_diff(last, first, "months") == -date_diff(first, last, "months")
