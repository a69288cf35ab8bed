"""Sessions and turns out of the file, no later than was known."""

from __future__ import annotations

import datetime as dt
import sqlite3

from rlm_module.errors import InputError
from rlm_module.memory.data import Session, Turn
from rlm_module.memory.found import Page, SessionLine
from rlm_module.memory.sqlite.ids import turn_id
from rlm_module.memory.sqlite.numbers import TURN_SHIFT, position_of, session_of, turns_of_session
from rlm_module.memory.sqlite.paging import cursor_of, place_of
from rlm_module.memory.sqlite.users import ROLES, SessionRow, session_by_public_id, turn_by_public_id
from rlm_module.memory.times import moment_of

_OPENING_CHARS = 120


def list_sessions(
    connection: sqlite3.Connection,
    user_no: int | None,
    span: tuple[int, int],
    limit: int,
    cursor: str | None,
    known: int,
) -> Page[SessionLine]:
    """Sessions by when they began, without those of which no turn is known or left.

    Args:
        connection: Reads.
        user_no: Whose; None for one who has nothing.
        span: From when on, and before when.
        limit: How many at most.
        cursor: Where to go on.
        known: What was known then.
    """
    at, number = place_of(cursor) or (span[0], -1)
    query = f"""
        SELECT session_no, public_id, started_at, started_offset, turns, last_at FROM sessions
        WHERE user_no = ?1 AND (started_at, session_no) > (?2, ?3) AND started_at >= ?4 AND started_at < ?5
        AND turns > 0 AND (last_at <= ?6 OR EXISTS (
            SELECT 1 FROM turns
            WHERE turn_no >= session_no << {TURN_SHIFT} AND turn_no < (session_no + 1) << {TURN_SHIFT} AND ts <= ?6
        ))
        ORDER BY started_at, session_no LIMIT ?7
    """
    before = min(span[1], known + 1)
    rows = connection.execute(query, (user_no, at, number, span[0], before, known, limit + 1)).fetchall()
    lines: list[SessionLine] = []
    for session_no, public_id, started_at, offset, turns, last_at in rows[:limit]:
        seen = turns if last_at <= known else _turns_known(connection, session_no, known)
        lines.append(
            SessionLine(public_id, moment_of(started_at, offset), seen, _opening(connection, session_no, known))
        )
    more = cursor_of(rows[limit - 1][2], rows[limit - 1][0]) if len(rows) > limit else None
    return Page(tuple(lines), more)


def get_session(connection: sqlite3.Connection, user_no: int | None, public_id: str, known: int) -> Session:
    """A session with the turns that were known; see `session_by_public_id`."""
    row = session_by_public_id(connection, user_no, public_id, known)
    query = "SELECT turn_no, role, ts, ts_offset, text FROM turns WHERE turn_no BETWEEN ? AND ? AND ts <= ?"
    turns = [
        turn_of(public_id, *found) for found in connection.execute(query, (*turns_of_session(row.session_no), known))
    ]
    if not turns:
        raise InputError(
            f"Session {public_id!r} has no turns that were known then or were not forgotten; read another."
        )
    return Session.model_construct(id=public_id, started_at=start_of(row), turns=tuple(turns))


def get_turn(connection: sqlite3.Connection, user_no: int | None, public_id: str, known: int) -> Turn:
    """A turn; see `turn_by_public_id`."""
    turn_no = turn_by_public_id(connection, user_no, public_id, known)
    query = "SELECT turn_no, role, ts, ts_offset, text FROM turns WHERE turn_no = ?"
    return turn_of(public_id.partition(".")[0], *connection.execute(query, (turn_no,)).fetchone())


def turn_of(public_id: str, turn_no: int, role: int, ts: int, offset: int, text: str) -> Turn:
    """A turn from its columns and its session's id; the file was checked when it was written."""
    made = turn_id(public_id, position_of(turn_no))
    return Turn.model_construct(role=ROLES[role], text=text, ts=moment_of(ts, offset), id=made)


def start_of(row: SessionRow) -> dt.datetime:
    """When a session began."""
    return moment_of(row.started_at, row.started_offset)


def turn_ids(connection: sqlite3.Connection, numbers: list[int]) -> list[str]:
    """Public ids of turns, in order."""
    ids: dict[int, str] = {}
    for session_no in {session_of(number) for number in numbers}:
        query = "SELECT public_id FROM sessions WHERE session_no = ?"
        (ids[session_no],) = connection.execute(query, (session_no,)).fetchone()
    return [turn_id(ids[session_of(number)], position_of(number)) for number in numbers]


def _turns_known(connection: sqlite3.Connection, session_no: int, known: int) -> int:
    query = "SELECT count(*) FROM turns WHERE turn_no BETWEEN ? AND ? AND ts <= ?"
    return connection.execute(query, (*turns_of_session(session_no), known)).fetchone()[0]


def _opening(connection: sqlite3.Connection, session_no: int, known: int) -> str:
    query = f"""
        SELECT substr(text, 1, {_OPENING_CHARS}) FROM turns
        WHERE turn_no BETWEEN ? AND ? AND ts <= ? ORDER BY turn_no LIMIT 1
    """
    row = connection.execute(query, (*turns_of_session(session_no), known)).fetchone()
    return " ".join(row[0].split()) if row else ""
