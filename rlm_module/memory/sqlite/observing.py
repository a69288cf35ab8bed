"""Observations into the file and out of it."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rlm_module.errors import InputError
from rlm_module.memory.data import OBSERVATION_KINDS, Observation, ObservationKind
from rlm_module.memory.found import Page, Pending
from rlm_module.memory.sqlite.forgetting import forget_observations_of
from rlm_module.memory.sqlite.ids import opaque
from rlm_module.memory.sqlite.numbers import session_number, turn_number, turns_of_session
from rlm_module.memory.sqlite.paging import cursor_of, place_of
from rlm_module.memory.sqlite.reading import turn_ids
from rlm_module.memory.sqlite.users import EVER, SessionRow, turn_by_public_id
from rlm_module.memory.times import instant, moment_of, offset_minutes

_COLUMNS = """
    observation_no, public_id, kind, subject, value, stated_at, stated_offset, refers_start, refers_start_offset,
    refers_end, refers_end_offset, supersedes
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an observer read.

    Args:
        observer: Which.
        first: From which position on.
        through: Up to which, that one not included.
        log: Ids of the observations that it was shown.
    """

    observer: str
    first: int
    through: int
    log: Sequence[str] = ()


def observe(
    connection: sqlite3.Connection, user_no: int, row: SessionRow, observations: Sequence[Observation], reading: Reading
) -> tuple[str, ...]:
    """Writes observations of a session, and that they were made; their ids.

    Raises:
        InputError: If the observer is not at this place, or something that is referred to is not there.
    """
    (mark,) = connection.execute(
        "SELECT coalesce(max(through), 0) FROM observed WHERE session_no = ? AND observer = ?",
        (row.session_no, reading.observer),
    ).fetchone()
    if reading.first not in (0, mark) or not reading.first <= reading.through <= row.length:
        raise InputError(
            f"Observer {reading.observer!r} has read {mark} of {row.length} turns of session {row.public_id!r}, so it "
            f"cannot go on from {reading.first} to {reading.through}; ask what is pending."
        )
    if reading.first == 0:
        forget_observations_of(connection, row.session_no)
        connection.execute("DELETE FROM observed WHERE session_no = ?", (row.session_no,))
    known = _known_to(connection, user_no, row, reading)
    made = tuple(write_observation(connection, user_no, row, observation, known) for observation in observations)
    mark_observed(connection, row.session_no, reading.observer, reading.through)
    return made


def mark_observed(connection: sqlite3.Connection, session_no: int, observer: str, through: int) -> None:
    """Notes up to where an observer has read a session."""
    connection.execute("INSERT OR REPLACE INTO observed VALUES (?, ?, ?)", (session_no, observer, through))


def _known_to(connection: sqlite3.Connection, user_no: int, row: SessionRow, reading: Reading) -> int:
    """When the latest was known of what an observer was shown, whatever of it an observation cites."""
    span = (turn_number(row.session_no, reading.first), turns_of_session(row.session_no)[0] + reading.through - 1)
    (said,) = connection.execute("SELECT max(ts) FROM turns WHERE turn_no BETWEEN ? AND ?", span).fetchone()
    marks = ",".join("?" * len(reading.log))
    query = f"SELECT max(known_at) FROM observations WHERE user_no = ? AND public_id IN ({marks})"
    (logged,) = connection.execute(query, (user_no, *reading.log)).fetchone()
    return max(-EVER if said is None else said, -EVER if logged is None else logged)


def write_observation(
    connection: sqlite3.Connection, user_no: int, row: SessionRow, observation: Observation, known: int
) -> str:
    """Writes one observation; its id.

    Args:
        connection: In a transaction.
        user_no: Whose.
        row: The session it was made of.
        observation: The observation.
        known: When the latest was known of what it was made of, in microseconds.

    Raises:
        InputError: If a source or what it supersedes is not there.
    """
    sources = [turn_by_public_id(connection, user_no, source) for source in observation.source_turn_ids]
    marks = ",".join("?" * len(sources))
    (said,) = connection.execute(f"SELECT max(ts) FROM turns WHERE turn_no IN ({marks})", sources).fetchone()
    public_id = _free_id(connection, user_no, row, observation)
    stated = instant(observation.stated_at)
    number = connection.execute(
        f"INSERT INTO observations VALUES ({','.join('?' * 16)})",
        (
            None,
            user_no,
            row.session_no,
            public_id,
            observation.kind,
            observation.subject,
            _key(observation.subject),
            observation.value,
            stated,
            offset_minutes(observation.stated_at),
            *_optional(observation.refers_start),
            *_optional(observation.refers_end),
            max(stated, said, known),
            _superseded(connection, user_no, observation),
        ),
    ).lastrowid
    connection.executemany(
        "INSERT INTO sources VALUES (?, ?, ?)", [(number, place, source) for place, source in enumerate(sources)]
    )
    return public_id


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which observations are asked for.

    Args:
        subject: What about; None for everything.
        kind: Of what sort; None for all.
        current: Whether only what nothing supersedes.
        known: What was known then.
    """

    subject: str | None = None
    kind: ObservationKind | None = None
    current: bool = False
    known: int = EVER

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in OBSERVATION_KINDS:
            kinds = ", ".join(OBSERVATION_KINDS)
            raise InputError(f"The kind {str(self.kind)[:40]!r} is not one of {kinds}; take one of these.")


def observations(
    connection: sqlite3.Connection, user_no: int | None, wanted: Wanted, limit: int, cursor: str | None
) -> Page[Observation]:
    """Observations by when they were stated."""
    conditions = ["user_no = ?", "stated_at <= ?", "known_at <= ?"]
    values: list[int | str | None] = [user_no, wanted.known, wanted.known]
    for column, value in (("subject_key", _key(wanted.subject)), ("kind", wanted.kind)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if wanted.current:
        later = "later.supersedes = observations.observation_no AND later.known_at <= ?"
        conditions.append(f"NOT EXISTS (SELECT 1 FROM observations AS later WHERE {later})")
        values.append(wanted.known)
    place = place_of(cursor)
    if place is not None:
        conditions.append("(stated_at, observation_no) > (?, ?)")
        values += place
    query = f"""
        SELECT {_COLUMNS} FROM observations WHERE {" AND ".join(conditions)} ORDER BY stated_at, observation_no LIMIT ?
    """
    rows = connection.execute(query, (*values, limit + 1)).fetchall()
    more = cursor_of(rows[limit - 1][5], rows[limit - 1][0]) if len(rows) > limit else None
    return Page(tuple(observation_of(connection, row, wanted.known) for row in rows[:limit]), more)


def observation_of(connection: sqlite3.Connection, row: Sequence[Any], known: int = EVER) -> Observation:
    """An observation as it was known, from its columns, which were checked when they were written."""
    number, public_id, kind, subject, value, stated, offset, *refers, supersedes = row
    query = "SELECT turn_no FROM sources WHERE observation_no = ? ORDER BY place"
    sources = turn_ids(connection, [source for (source,) in connection.execute(query, (number,))])
    if supersedes is not None:
        query = "SELECT public_id FROM observations WHERE observation_no = ? AND known_at <= ?"
        (supersedes,) = connection.execute(query, (supersedes, known)).fetchone() or (None,)
    return Observation.model_construct(
        kind=kind,
        subject=subject,
        value=value,
        stated_at=moment_of(stated, offset),
        refers_start=None if refers[0] is None else moment_of(refers[0], refers[1]),
        refers_end=None if refers[2] is None else moment_of(refers[2], refers[3]),
        supersedes=supersedes,
        source_turn_ids=tuple(sources),
        id=public_id,
    )


def observations_of(connection: sqlite3.Connection, user_no: int) -> Iterator[tuple[str, int, Observation]]:
    """Every observation of a user with its session's id and when it was known, in the order in which they were made."""
    query = f"""
        SELECT
            (SELECT public_id FROM sessions WHERE sessions.session_no = observations.session_no), known_at, {_COLUMNS}
        FROM observations WHERE user_no = ? ORDER BY observation_no
    """
    for session_id, known_at, *row in connection.execute(query, (user_no,)):
        yield session_id, known_at, observation_of(connection, row)


def pending(
    connection: sqlite3.Connection, user_no: int | None, observer: str, limit: int, cursor: str | None
) -> Page[Pending]:
    """Sessions of which an observer has not read everything, in the order of their numbers."""
    if user_no is None:
        return Page(())
    place = place_of(cursor)
    query = """
        SELECT sessions.session_no, public_id, coalesce(through, 0) AS first FROM sessions
        LEFT JOIN observed ON observed.session_no = sessions.session_no AND observer = ?
        WHERE sessions.session_no > ? AND sessions.session_no < ? AND length > first
        ORDER BY sessions.session_no LIMIT ?
    """
    start = max(place[1] if place else -1, session_number(user_no, 0) - 1)  # a cursor may be of another user
    values = (observer, start, session_number(user_no + 1, 0), limit + 1)
    rows = connection.execute(query, values).fetchall()
    items: list[Pending] = []
    for session_no, public_id, first in rows[:limit]:
        query = "SELECT count(*), coalesce(sum(length(text)), 0) FROM turns WHERE turn_no BETWEEN ? AND ?"
        span = (turn_number(session_no, first), turns_of_session(session_no)[1])
        items.append(Pending(public_id, first, *connection.execute(query, span).fetchone()))
    return Page(tuple(items), cursor_of(0, rows[limit - 1][0]) if len(rows) > limit else None)


def _superseded(connection: sqlite3.Connection, user_no: int, observation: Observation) -> int | None:
    if observation.supersedes is None:
        return None
    query = "SELECT observation_no FROM observations WHERE user_no = ? AND public_id = ?"
    row = connection.execute(query, (user_no, observation.supersedes)).fetchone()
    if row is None:
        raise InputError(f"There is no observation {observation.supersedes[:80]!r} to supersede; leave it out.")
    return row[0]


def _free_id(connection: sqlite3.Connection, user_no: int, row: SessionRow, observation: Observation) -> str:
    said = (observation.kind, observation.subject, observation.value, *observation.source_turn_ids)
    attempt = 0
    while True:
        made = f"o{opaque(row.public_id, *said, attempt=attempt)}"
        query = "SELECT 1 FROM observations WHERE user_no = ? AND public_id = ?"
        if connection.execute(query, (user_no, made)).fetchone() is None:
            return made
        attempt += 1


def _key(subject: str | None) -> str | None:
    return None if subject is None else " ".join(subject.casefold().split())


def _optional(moment: dt.datetime | None) -> tuple[int | None, int | None]:
    return (None, None) if moment is None else (instant(moment), offset_minutes(moment))
