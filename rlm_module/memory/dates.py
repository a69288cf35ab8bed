"""Dates in words: which days a phrase means, said on a given day, and how far two dates are apart."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from rlm_module.errors import InputError

Unit: TypeAlias = Literal["minutes", "hours", "days", "weeks", "months", "years"]
_UNITS: tuple[Unit, ...] = get_args(Unit)
_MONTHS = [name.lower() for name in calendar.month_name]
_DAYS = [name.lower() for name in calendar.day_name]
_NUMBERS: tuple[str, ...] = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_DAY = dt.timedelta(days=1)

_NUMBER = rf"(?P<number>\d{{1,3}}|an?|{'|'.join(_NUMBERS[1:])})"
_SPAN = r"(?P<unit>day|week|fortnight|month|year)s?"
_MONTH = rf"(?P<month>{'|'.join(name[:3] + f'(?:{name[3:]})?' for name in _MONTHS[1:])})\.?"
_WEEKDAY = rf"(?P<weekday>{'|'.join(_DAYS)})"
_DATE = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"


@dataclass(frozen=True, slots=True)
class Days:
    """Some days in a row.

    Args:
        first: The first of them; None where they have no beginning that is known.
        last: The last; None where they have no end that is known.
    """

    first: dt.date | None
    last: dt.date | None

    def moments(self, zone: dt.tzinfo | None) -> tuple[dt.datetime | None, dt.datetime | None]:
        """From the beginning of the first day to the last second of the last."""
        start = None if self.first is None else dt.datetime.combine(self.first, dt.time(), zone)
        end = None if self.last is None else dt.datetime.combine(self.last, dt.time(23, 59, 59), zone)
        return start, end


def days_meant(phrase: str, said_on: dt.date) -> Days | None:
    """The days that a phrase means; None unless that can be computed without guessing.

    "next Friday", "in March" and "a few weeks ago" mean one thing to some and another to others: they are left alone.

    Args:
        phrase: Words that tell a time, such as "two weeks ago", "last March" or "5 March 2024".
        said_on: The day on which they were said.
    """
    words = " ".join(phrase.lower().replace(",", " ").split()).strip(" .!?;:")
    side = re.match(r"(since|from|until|till) ", words)
    bare = re.sub(r"^(?:since|from|until|till|on|in|during|back in) (?:the )?", "", words)
    try:
        readings = (read(text, said_on) for text in (words, bare) for read in _READERS)
        found = next((days for days in readings if days is not None), None)
    except (ValueError, OverflowError):  # the 31st of June
        return None
    if found is None or side is None:
        return found
    return Days(found.first, None) if side[1] in ("since", "from") else Days(None, found.last)


def date_diff(a: dt.datetime, b: dt.datetime, unit: str = "days") -> float:
    """How much later `b` is than `a`, negative where it is earlier.

    Whole days, weeks, months and years are told from the calendar, whatever the time of day.

    Raises:
        InputError: If there is no such unit, or a time has no date in the zone of the other.
    """
    name = unit.lower().rstrip("s") + "s"
    if name not in _UNITS:
        raise InputError(f"date_diff knows no unit {unit!r}; use one of {', '.join(_UNITS)}.")
    if name in ("minutes", "hours"):
        return (b - a) / dt.timedelta(**{name: 1})
    try:
        first, last = a.date(), b.astimezone(a.tzinfo).date() if a.tzinfo and b.tzinfo else b.date()
    except OverflowError as error:
        raise InputError(
            f"{b.isoformat()} lies beyond the year 9999 in the zone of the other time; leave it out."
        ) from error
    if name in ("days", "weeks"):
        return (last - first).days / (7 if name == "weeks" else 1)
    months = _months_between(first, last) if last >= first else -_months_between(last, first)
    return months / (12 if name == "years" else 1)


def _months_between(first: dt.date, last: dt.date) -> float:
    """Whole months, and the part of the next one that has passed."""
    whole = (last.year - first.year) * 12 + last.month - first.month
    if _months_later(first, whole) > last:
        whole -= 1
    start = _months_later(first, whole)
    if (start.year, start.month) == (dt.MAXYEAR, 12):  # no date is a month later
        return whole + (last - start).days / 31
    return whole + (last - start) / (_months_later(first, whole + 1) - start)


def _months_later(day: dt.date, months: int) -> dt.date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _one(day: dt.date) -> Days:
    return Days(day, day)


def _month(year: int, month: int) -> Days:
    return Days(dt.date(year, month, 1), dt.date(year, month, calendar.monthrange(year, month)[1]))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 1 if text in ("a", "an") else _NUMBERS.index(text)


def _named(words: str, said_on: dt.date) -> Days | None:
    near = {
        "today": 0,
        "tonight": 0,
        "this morning": 0,
        "this afternoon": 0,
        "this evening": 0,
        "yesterday": -1,
        "last night": -1,
        "the day before yesterday": -2,
        "day before yesterday": -2,
        "tomorrow": 1,
        "the day after tomorrow": 2,
        "day after tomorrow": 2,
    }
    return _one(said_on + near[words] * _DAY) if words in near else None


def _counted(words: str, said_on: dt.date) -> Days | None:
    """Two weeks ago, in three days: a day where days and weeks are counted, else the month or the year."""
    match = re.fullmatch(rf"(?P<ahead>in )?{_NUMBER} {_SPAN}(?P<back> ago| from now)?", words)
    if match is None or (match["ahead"] is None) == (match["back"] is None):
        return None
    number, unit = _number(match["number"]), match["unit"]
    if match["back"] == " ago":
        number = -number
    if unit in ("day", "week", "fortnight"):
        return _one(said_on + number * {"day": 1, "week": 7, "fortnight": 14}[unit] * _DAY)
    if unit == "month":
        there = _months_later(said_on, number)
        return _month(there.year, there.month)
    return _year(said_on.year + number)


def _relative(words: str, said_on: dt.date) -> Days | None:
    """Last, this and next week, month and year; last Friday; last March."""
    match = re.fullmatch(rf"(?P<which>last|this|next) (?:(?P<span>week|month|year|weekend)|{_WEEKDAY}|{_MONTH})", words)
    if match is None:
        return None
    step = {"last": -1, "this": 0, "next": 1}[match["which"]]
    monday = said_on - said_on.weekday() * _DAY
    if match["span"] == "week":
        return Days(monday + 7 * step * _DAY, monday + (7 * step + 6) * _DAY)
    if match["span"] == "month":
        there = _months_later(said_on.replace(day=1), step)
        return _month(there.year, there.month)
    if match["span"] == "year":
        return _year(said_on.year + step)
    if match["span"] == "weekend":  # on a weekend, which one is meant is anybody's guess
        return Days(monday + (7 * step + 5) * _DAY, monday + (7 * step + 6) * _DAY) if said_on.weekday() < 5 else None
    if step != -1:
        return None
    if match["weekday"]:
        back = (said_on.weekday() - _DAYS.index(match["weekday"])) % 7 or 7
        return _one(said_on - back * _DAY)
    month = _month_number(match["month"])
    return _month(said_on.year - (month >= said_on.month), month)


def _written(words: str, _: dt.date) -> Days | None:
    """Dates with their year, months with theirs, and years."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", words):
        return _one(dt.date.fromisoformat(words))
    plain = re.sub(r"\b(?:the|of) ", "", words)
    for form in (rf"{_DATE} {_MONTH} {_YEAR}", rf"{_MONTH} {_DATE} {_YEAR}"):
        if match := re.fullmatch(form, plain):
            return _one(dt.date(int(match["year"]), _month_number(match["month"]), int(match["day"])))
    if match := re.fullmatch(rf"{_MONTH} {_YEAR}", plain):
        return _month(int(match["year"]), _month_number(match["month"]))
    return _year(int(plain)) if re.fullmatch(_YEAR, plain) else None


def _year(year: int) -> Days:
    return Days(dt.date(year, 1, 1), dt.date(year, 12, 31))


def _month_number(name: str) -> int:
    return next(number for number, full in enumerate(_MONTHS) if number and full.startswith(name[:3]))


_READERS: tuple[Callable[[str, dt.date], Days | None], ...] = (_named, _counted, _relative, _written)
