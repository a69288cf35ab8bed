"""Sessions into the file: new ones, further turns of old ones, and others in their place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from rlm_module.errors import InputError
from rlm_module.memory.data import Session, Turn
from rlm_module.memory.errors import SessionChangedError
from rlm_module.memory.found import IngestReport
from rlm_module.memory.sqlite.forgetting import forget_turns_of
from rlm_module.memory.sqlite.ids import opaque
from rlm_module.memory.sqlite.numbers import (
    MAX_SESSIONS,
    position_of,
    session_number,
    turn_number,
    turns_of_session,
    user_of,
)
from rlm_module.memory.sqlite.users import ROLES, SessionRow, session_by_caller_id
from rlm_module.memory.sqlite.words import indexed
from rlm_module.memory.times import instant, offset_minutes

_ROLE_NUMBERS = {role: number for number, role in enumerate(ROLES)}


def write_session(
    connection: sqlite3.Connection, user_no: int, user: str, session: Session, replace: bool
) -> IngestReport:
    """Writes what is new of a session.

    Args:
        connection: In a transaction.
        user_no: Whose it is.
        user: The same by name.
        session: With all of its turns.
        replace: Whether it may take the place of one with other turns.

    Raises:
        SessionChangedError: If it would have to, and may not.
    """
    known = session_by_caller_id(connection, user_no, session.id)
    if known is None:
        row = add_session(connection, user_no, user, session)
        write_turns(connection, row.session_no, enumerate(session.turns))
        return IngestReport(added=1, turns=len(session.turns))
    if is_continued(connection, known, session):
        new = range(known.length, len(session.turns))
        write_turns(connection, known.session_no, ((position, session.turns[position]) for position in new))
        return IngestReport(appended=1, turns=len(new)) if new else IngestReport(unchanged=1)
    if not replace:
        raise changed(session)
    forget_turns_of(connection, known.session_no)
    connection.execute(
        "UPDATE sessions SET started_at = ?, started_offset = ?, length = 0, last_at = ? WHERE session_no = ?",
        (*_time(session), instant(session.started_at), known.session_no),
    )
    write_turns(connection, known.session_no, enumerate(session.turns))
    return IngestReport(replaced=1, turns=len(session.turns))


def changed(session: Session) -> SessionChangedError:
    """The error of a session that is no longer what it was."""
    return SessionChangedError(
        f"Session {session.id!r} has other turns than when it was ingested; pass replace=True if these are right."
    )


def is_continued(connection: sqlite3.Connection, known: SessionRow, session: Session) -> bool:
    """Whether what is known of a session is its beginning; forgotten turns count as equal."""
    if _time(session) != (known.started_at, known.started_offset) or known.length > len(session.turns):
        return False
    query = "SELECT turn_no, role, ts, ts_offset, text FROM turns WHERE turn_no BETWEEN ? AND ?"
    for turn_no, *old in connection.execute(query, turns_of_session(known.session_no)):
        if _columns(session.turns[position_of(turn_no)]) != tuple(old):
            return False
    return True


def add_session(
    connection: sqlite3.Connection, user_no: int, user: str, session: Session | SessionRow, length: int = 0
) -> SessionRow:
    """Writes a session without turns.

    Raises:
        InputError: If the user has had as many as there can be.
    """
    (n,) = connection.execute("SELECT next_session FROM users WHERE user_no = ?", (user_no,)).fetchone()
    if n >= MAX_SESSIONS:
        raise InputError(f"User {user!r} has had {MAX_SESSIONS:,} sessions, which is all there is room for.")
    connection.execute("UPDATE users SET next_session = ? WHERE user_no = ?", (n + 1, user_no))
    if isinstance(session, Session):
        caller_id, (at, offset) = session.id, _time(session)
    else:
        caller_id, at, offset = session.caller_id, session.started_at, session.started_offset
    row = SessionRow(
        session_number(user_no, n), _free_id(connection, user_no, user, caller_id), caller_id, at, offset, length, 0, at
    )
    connection.execute(
        "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (row.session_no, user_no, row.public_id, caller_id, at, offset, length, 0, at),
    )
    return row


def write_turns(connection: sqlite3.Connection, session_no: int, turns: Iterator[tuple[int, Turn]]) -> None:
    """Writes turns at their positions, their words, and what is counted of them."""
    rows = [(turn_number(session_no, position), *_columns(turn)) for position, turn in turns]
    if not rows:
        return
    connection.executemany("INSERT INTO turns VALUES (?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "INSERT INTO turn_words (rowid, text) VALUES (?, ?)",
        [(number, indexed(text)) for number, _, _, _, text in rows],
    )
    connection.execute(
        """
        UPDATE sessions SET turns = turns + ?, length = max(length, ?), last_at = max(last_at, ?) WHERE session_no = ?
        """,
        (len(rows), position_of(rows[-1][0]) + 1, max(row[2] for row in rows), session_no),
    )
    connection.execute(
        "UPDATE users SET turns = turns + ?, chars = chars + ? WHERE user_no = ?",
        (len(rows), sum(len(row[4]) for row in rows), user_of(rows[0][0])),
    )


def refuse_changed(connection: sqlite3.Connection, user_no: int | None, sessions: Sequence[Session]) -> None:
    """Finds a session that cannot be ingested before any is.

    Raises:
        SessionChangedError: If one of them is not a continuation of what is known of it.
    """
    if user_no is None:
        return
    for session in sessions:
        known = session_by_caller_id(connection, user_no, session.id)
        if known is not None and not is_continued(connection, known, session):
            raise changed(session)


def _free_id(connection: sqlite3.Connection, user_no: int, user: str, caller_id: str) -> str:
    attempt = 0
    while True:
        made = opaque(user, caller_id, attempt=attempt)
        query = "SELECT 1 FROM sessions WHERE user_no = ? AND public_id = ?"
        if connection.execute(query, (user_no, made)).fetchone() is None:
            return made
        attempt += 1


def _time(session: Session) -> tuple[int, int]:
    return instant(session.started_at), offset_minutes(session.started_at)


def _columns(turn: Turn) -> tuple[int, int, int, str]:
    return _ROLE_NUMBERS[turn.role], instant(turn.ts), offset_minutes(turn.ts), turn.text
