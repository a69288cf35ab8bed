"""Small sessions and observations, of which checks and tests of a store are made."""

from __future__ import annotations

import datetime as dt

from rlm_module.memory.data import Observation, ObservationKind, Session, read_session
from rlm_module.memory.store import UserMemory

START = dt.datetime(2024, 1, 1, 9, tzinfo=dt.timezone(dt.timedelta(hours=2)))
"""When a session began that says nothing else."""


def session(caller_id: str, *texts: str, start: dt.datetime = START, step: dt.timedelta = dt.timedelta()) -> Session:
    """A session of turns by user and assistant in turn, `step` apart."""
    turns = [
        {"role": "assistant" if place % 2 else "user", "text": text, "ts": start + place * step}
        for place, text in enumerate(texts)
    ]
    return read_session({"id": caller_id, "started_at": start, "turns": turns})


def id_of(user: UserMemory, caller_id: str) -> str:
    """The opaque id of a session that is there."""
    found = user.session_id(caller_id)
    if found is None:
        raise LookupError(f"session {caller_id!r} is not there")
    return found


def observation(
    user: UserMemory,
    caller_id: str,
    *positions: int,
    subject: str = "cat",
    kind: ObservationKind = "fact",
    supersedes: str | None = None,
    stated_at: dt.datetime = START,
    refers: dt.datetime | None = None,
    ends: dt.datetime | None = None,
) -> Observation:
    """An observation that rests on turns of a session, the first where none is named."""
    return Observation(
        kind=kind,
        subject=subject,
        value=f"of {positions}",
        stated_at=stated_at,
        refers_start=refers,
        refers_end=ends,
        supersedes=supersedes,
        source_turn_ids=tuple(f"{id_of(user, caller_id)}.{position}" for position in positions or (0,)),
    )
