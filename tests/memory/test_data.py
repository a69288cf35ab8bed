"""Times keep their moment and their offset, and what is no session is told in one sentence."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pydantic
import pytest
from hypothesis import given

from rlm_module.errors import InputError
from rlm_module.memory import Observation, Session, Turn, read_session
from rlm_module.memory.times import instant, moment_of, offset_minutes, settled
from tests.memory.chats import times


@given(times)
def test_a_time_survives_the_file(moment: dt.datetime) -> None:
    again = moment_of(instant(moment), offset_minutes(moment))
    assert again == moment
    assert again.utcoffset() == moment.utcoffset()


def test_a_naive_time_is_read_in_the_declared_zone_or_in_utc() -> None:
    given = {"id": "a", "started_at": "2024-07-01T12:00:00", "turns": [{"role": "user", "text": "hi"}]}
    assert read_session(given).started_at.isoformat() == "2024-07-01T12:00:00+00:00"
    berlin = read_session(given, ZoneInfo("Europe/Berlin"))
    assert berlin.started_at.isoformat() == "2024-07-01T12:00:00+02:00"
    assert berlin.turns[0].ts == berlin.started_at
    assert Turn(role="user", text="", ts=dt.datetime(2024, 1, 1)).ts.tzinfo is dt.UTC


def test_an_offset_keeps_when_its_zone_changes_its_rules() -> None:
    moment = settled(dt.datetime(2024, 1, 1, 12, tzinfo=ZoneInfo("America/New_York")))
    assert moment.tzinfo == dt.timezone(dt.timedelta(hours=-5))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"started_at": None}, "started_at"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"turns": []}, "turns"),
        ({"turns": [{"role": "wizard", "text": "hi"}]}, "turns.0.role"),
        ({"turns": [{"role": "user"}]}, "turns.0.text"),
        ({"turns": [{"role": "user", "text": "\ud83d"}]}, "turns.0.text"),
        ({"id": ""}, "id"),
        ({"has_answer": True}, "has_answer"),
        ({"started_at": "0001-01-01T00:00:00+14:00"}, "years 1 to 9999"),
    ],
)
def test_what_is_no_session_is_told_in_one_sentence(change: dict[str, object], fault: str) -> None:
    good = {"id": "a", "started_at": "2024-01-01T00:00:00Z", "turns": [{"role": "user", "text": "hi"}]}
    with pytest.raises(InputError) as refused:
        read_session({**good, **change})
    assert fault in str(refused.value)
    assert "\n" not in str(refused.value)
    read_session(good)


def test_what_is_no_mapping_is_no_session() -> None:
    with pytest.raises(InputError, match="Session 'None' cannot be read"):
        read_session([1, 2])


def test_records_are_frozen_and_observations_end_after_they_begin() -> None:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    session = Session(id="a", started_at=start, turns=(Turn(role="user", text="hi", ts=start),))
    with pytest.raises(pydantic.ValidationError):
        session.id = "b"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(pydantic.ValidationError, match="refers_end is before refers_start"):
        Observation(
            kind="event",
            subject="s",
            value="v",
            stated_at=start,
            refers_start=start,
            refers_end=start - dt.timedelta(days=1),
            source_turn_ids=("a.0",),
        )
