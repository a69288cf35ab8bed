"""Times as a store keeps them: microseconds in UTC, and the offset they were given with."""

from __future__ import annotations

import datetime as dt

from rlm_module.errors import InputError

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_MINUTE = dt.timedelta(minutes=1)


def settled(moment: dt.datetime, zone: dt.tzinfo = dt.UTC) -> dt.datetime:
    """The same moment with a fixed offset from UTC, which no later change of a zone's rules moves.

    Args:
        moment: A time; one without a zone is read in `zone`.
        zone: Where such a time is read.

    Raises:
        ValueError: If it lies outside of the years 1 to 9999 in UTC.
    """
    if moment.tzinfo is dt.UTC:
        return moment
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    minutes = round((aware.utcoffset() or dt.timedelta()) / _MINUTE)  # JSON has no offset with seconds
    try:
        return aware.astimezone(dt.timezone(minutes * _MINUTE) if minutes else dt.UTC)
    except OverflowError as error:
        raise ValueError("the time lies outside of the years 1 to 9999 in UTC") from error


def instant(moment: dt.datetime) -> int:
    """Microseconds since 1970 in UTC.

    Raises:
        InputError: If the time names no zone.
    """
    if moment.tzinfo is None:
        raise InputError(f"The time {moment.isoformat()} names no zone; give it one, such as datetime.UTC.")
    return (moment - _EPOCH) // _MICROSECOND


def offset_minutes(moment: dt.datetime) -> int:
    """Minutes by which the clock of a time is ahead of UTC."""
    offset = moment.utcoffset()
    return offset // _MINUTE if offset else 0


def moment_of(microseconds: int, offset: int = 0) -> dt.datetime:
    """The time that `instant` and `offset_minutes` were read from."""
    moment = _EPOCH + dt.timedelta(microseconds=microseconds)
    return moment.astimezone(dt.timezone(offset * _MINUTE)) if offset else moment
