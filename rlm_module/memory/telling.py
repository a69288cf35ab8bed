"""Whether a turn tells of a day: it was said then, or its words name the day or say how far off it is."""

from __future__ import annotations

import calendar
import datetime as dt
import re

from rlm_module.memory.data import Turn
from rlm_module.memory.dates import date_diff, days_meant
from rlm_module.memory.numbers import figures

_NEAR = re.compile(
    r"\b(?:today|tonight|this (?:morning|afternoon|evening)|yesterday|last night|the day before yesterday|tomorrow"
    r"|the day after tomorrow|(?:last|this|next) [a-z]+)\b"
)
_SPAN = re.compile(r"\b(day|week|fortnight|month|year)s?\b")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_WRITTEN = re.compile(r"\b\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?\b")
_ORDINAL = r"(?:st|nd|rd|th)"
_FEASTS = {
    "christmas eve": (12, 24), "christmas": (12, 25), "boxing day": (12, 26), "new year's eve": (12, 31),
    "new year": (1, 1), "valentine": (2, 14), "halloween": (10, 31),
}  # fmt: skip
_BEFORE_CHARS = 40
_NEAR_YEARS = 150


def tells_of(turn: Turn, day: dt.date) -> bool:
    """Whether a turn tells of a day, as far as code can say; in doubt it does not.

    Args:
        turn: What was said, and when.
        day: The day.
    """
    said_on, text = turn.ts.date(), turn.text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if abs(day.year - said_on.year) > _NEAR_YEARS:
        return False
    return day == said_on or any(check(text, said_on, day) for check in (_means, _counts_to, _dates, _is_about))


def _means(text: str, said_on: dt.date, day: dt.date) -> bool:
    """Yesterday, last March."""
    found = (days_meant(match[0], said_on) for match in _NEAR.finditer(text))
    return any((days.first or day) <= day <= (days.last or day) for days in found if days is not None)


def _counts_to(text: str, said_on: dt.date, day: dt.date) -> bool:
    """Three days ago, for two months: days to the day, longer spans to the one that has begun."""
    midnight = dt.time(tzinfo=dt.UTC)
    first, last = (dt.datetime.combine(one, midnight) for one in sorted((said_on, day)))
    for match in _SPAN.finditer(text):
        count = _count_before(text[max(0, match.start() - _BEFORE_CHARS) : match.start()])
        unit, scale = ("week", 2) if match[1] == "fortnight" else (match[1], 1)
        if count and abs(date_diff(first, last, unit) - scale * count) < (0.5 if unit == "day" else 1):
            return True
    return False


def _count_before(text: str) -> float | None:
    """The number in words or digits that a text ends with."""
    words = text.removesuffix(" of ").split()
    if not words or not figures(words[-1]):
        return None
    return 1 if words[-1] in ("a", "an") else figures(text)[-1]


def _dates(text: str, said_on: dt.date, day: dt.date) -> bool:
    """A date, a month or a year that is named; one without its year is near."""
    years = {int(year) for year in _YEAR.findall(text)}
    if day.year not in years and abs((day - said_on).days) > 366:
        return False
    if any({day.month, day.day} <= {int(n) for n in re.findall(r"\d+", date)} for date in _WRITTEN.findall(text)):
        return True
    months = _month_days(text, day.month)
    if months:
        return None in months or day.day in months
    if any(f"{feast}" in text and (day.month, day.day) == date for feast, date in _FEASTS.items()):
        return True
    return day.year in years and not any(_month_days(text, month) for month in range(1, 13))


def _month_days(text: str, month: int) -> set[int | None]:
    """The days with which a month is named, None where it is named without one."""
    full = calendar.month_name[month].lower()
    name = full if full == "may" else f"{full[:3]}(?:{full[3:]}|t)?"
    found = re.finditer(
        rf"(?:\b(?P<before>\d{{1,2}}){_ORDINAL}?(?: of)? |(?P<lead>\w+)[ -])?\b{name}\b\.?"
        rf"(?: (?:the )?(?P<after>\d{{1,2}}){_ORDINAL}?\b)?",
        text,
    )
    days: set[int | None] = set()
    for match in found:
        number = match["before"] or match["after"]
        if number or full != "may" or match["lead"] in ("in", "since", "last", "of", "until", "early", "late", "mid"):
            days.add(int(number) if number else None)  # "I may" is no month
    return days


def _is_about(text: str, said_on: dt.date, day: dt.date) -> bool:
    """A weekday of the week before or after, or "the 14th"."""
    off = abs((day - said_on).days)
    weekday = calendar.day_name[day.weekday()].lower()
    if off <= 7 and re.search(rf"\b{weekday}s?\b{'|weekend' if day.weekday() >= 5 else ''}", text):
        return True
    return off <= 31 and re.search(rf"\b{day.day}{_ORDINAL}\b", text) is not None
