"""Sessions into the file: new ones, further turns of old ones, and others in their place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from rlm_module.errors import InputError
from rlm_module.memory.data import Session, Turn
from rlm_module.memory.errors import SessionChangedError
from rlm_module.memory.found import IngestReport
from rlm_module.memory.sqlite.forgetting import forget_turns_of
from rlm_module.memory.sqlite.ids import opaque
from rlm_module.memory.sqlite.numbers import MAX_SESSIONS, position_of, session_number, turn_number, turns_of_session
from rlm_module.memory.sqlite.users import ROLES, SessionRow, TurnRow, session_by_caller_id
from rlm_module.memory.sqlite.words import indexed
from rlm_module.memory.times import instant, offset_minutes

_ROLE_NUMBERS = {role: number for number, role in enumerate(ROLES)}


class Writing:
    """What one transaction writes of a user's sessions, collected so that the file gets it in few statements.

    Args:
        connection: In a transaction, which must not end before `flush`.
        user_no: Whose they are.
        user: The same by name.
    """

    def __init__(self, connection: sqlite3.Connection, user_no: int, user: str) -> None:
        self._connection = connection
        self._user_no = user_no
        self._user = user
        query = "SELECT next_session FROM users WHERE user_no = ?"
        (self._next,) = connection.execute(query, (user_no,)).fetchone()
        self._sessions: dict[str, SessionRow] = {}
        self._turns: list[TurnRow] = []

    def write(self, session: Session, replace: bool) -> IngestReport:
        """Collects what is new of a session.

        Args:
            session: With all of its turns; no session of this transaction has the same id.
            replace: Whether it may take the place of one with other turns.

        Raises:
            SessionChangedError: If it would have to, and may not.
        """
        known = session_by_caller_id(self._connection, self._user_no, session.id)
        if known is None:
            self.add(session.id, _time(session), len(session.turns), list(enumerate(session.turns)))
            return IngestReport(added=1, turns=len(session.turns))
        if is_continued(self._connection, known, session):
            new = session.turns[known.length :]
            if not new:
                return IngestReport(unchanged=1)
            rows = self._collect(known.session_no, enumerate(new, known.length))
            self._update(known, known.turns + len(new), max(known.last_at, *(row[2] for row in rows)), session)
            return IngestReport(appended=1, turns=len(new))
        if not replace:
            raise changed(session)
        gone = self._forgotten(known)
        forget_turns_of(self._connection, known.session_no)
        kept = [(place, turn) for place, turn in enumerate(session.turns) if place not in gone]
        rows = self._collect(known.session_no, kept)
        self._update(known, len(rows), max((row[2] for row in rows), default=_time(session)[0]), session)
        return IngestReport(replaced=1, turns=len(rows))

    def add(self, caller_id: str, begun: tuple[int, int], length: int, turns: Sequence[tuple[int, Turn]]) -> SessionRow:
        """Collects a new session.

        Args:
            caller_id: What the caller calls it.
            begun: When, in microseconds, and the offset in minutes.
            length: How many turns it was ever given.
            turns: Those there are, with their positions.

        Raises:
            InputError: If the user has had as many sessions as there can be.
        """
        if self._next >= MAX_SESSIONS:
            raise InputError(f"User {self._user!r} has had {MAX_SESSIONS:,} sessions, which is all there is room for.")
        session_no = session_number(self._user_no, self._next)
        self._next += 1
        rows = self._collect(session_no, turns)
        last_at = max((row[2] for row in rows), default=begun[0])
        row = SessionRow(session_no, self._free_id(caller_id), caller_id, *begun, length, len(rows), last_at)
        self._sessions[row.public_id] = row
        return row

    def flush(self) -> None:
        """Writes what was collected."""
        execute, many = self._connection.execute, self._connection.executemany
        many(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(row.session_no, self._user_no, row.public_id, row.caller_id),
                    *(row.started_at, row.started_offset, row.length, row.turns, row.last_at),
                )
                for row in self._sessions.values()
            ],
        )
        many("INSERT INTO turns VALUES (?, ?, ?, ?, ?)", self._turns)
        words = [(row[0], indexed(row[4])) for row in self._turns]
        many("INSERT INTO turn_words (rowid, text) VALUES (?, ?)", words)
        execute(
            "UPDATE users SET next_session = ?, turns = turns + ?, chars = chars + ? WHERE user_no = ?",
            (self._next, len(self._turns), sum(len(row[4]) for row in self._turns), self._user_no),
        )
        self._sessions, self._turns = {}, []

    def _forgotten(self, known: SessionRow) -> set[int]:
        """The places of a session's turns that were forgotten."""
        query = "SELECT turn_no FROM turns WHERE turn_no BETWEEN ? AND ?"
        left = self._connection.execute(query, turns_of_session(known.session_no))
        return set(range(known.length)).difference(position_of(number) for (number,) in left)

    def _collect(self, session_no: int, turns: Iterable[tuple[int, Turn]]) -> list[TurnRow]:
        rows = [(turn_number(session_no, position), *_columns(turn)) for position, turn in turns]
        self._turns += rows
        return rows

    def _update(self, known: SessionRow, turns: int, last_at: int, session: Session) -> None:
        self._connection.execute(
            """
            UPDATE sessions SET started_at = ?, started_offset = ?, length = ?, turns = ?, last_at = ?
            WHERE session_no = ?
            """,
            (*_time(session), len(session.turns), turns, last_at, known.session_no),
        )

    def _free_id(self, caller_id: str) -> str:
        query = "SELECT 1 FROM sessions WHERE user_no = ? AND public_id = ?"
        attempt = 0
        while True:
            made = opaque(self._user, caller_id, attempt=attempt)
            taken = self._connection.execute(query, (self._user_no, made)).fetchone()
            if taken is None and made not in self._sessions:
                return made
            attempt += 1


def changed(session: Session) -> SessionChangedError:
    """The error of a session that is no longer what it was."""
    return SessionChangedError(
        f"Session {session.id!r} has other turns or another beginning than when it was ingested; pass replace=True if "
        "these are right."
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


def _time(session: Session) -> tuple[int, int]:
    return instant(session.started_at), offset_minutes(session.started_at)


def _columns(turn: Turn) -> tuple[int, int, int, str]:
    return _ROLE_NUMBERS[turn.role], instant(turn.ts), offset_minutes(turn.ts), turn.text
