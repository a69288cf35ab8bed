"""A user's memory as lines, and such lines into the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from rlm_module.errors import InputError
from rlm_module.memory.data import Turn
from rlm_module.memory.exported import ExportedLine, ExportedObservation, ExportedSession, ExportedTurn
from rlm_module.memory.found import IngestReport
from rlm_module.memory.sqlite.ids import split_turn_id, turn_id
from rlm_module.memory.sqlite.numbers import position_of, session_number, turns_of_session
from rlm_module.memory.sqlite.observing import mark_observed, observations_of, write_observation
from rlm_module.memory.sqlite.users import ROLES, SessionRow
from rlm_module.memory.sqlite.writing import Writing
from rlm_module.memory.times import instant, moment_of, offset_minutes

_TURNS_AT_ONCE = 1_000


def export(connection: sqlite3.Connection, user_no: int) -> Iterator[ExportedLine]:
    """All sessions of a user in the order in which they came, then all observations in theirs."""
    query = """
        SELECT session_no, caller_id, public_id, started_at, started_offset, length FROM sessions
        WHERE session_no >= ? AND session_no < ? ORDER BY session_no
    """
    span = (session_number(user_no, 0), session_number(user_no + 1, 0))
    for session_no, caller_id, public_id, started_at, offset, length in connection.execute(query, span):
        marks = "SELECT observer, through FROM observed WHERE session_no = ? ORDER BY observer"
        yield ExportedSession(
            id=caller_id,
            public_id=public_id,
            started_at=moment_of(started_at, offset),
            length=length,
            turns=tuple(_turns(connection, session_no)),
            observed=dict(connection.execute(marks, (session_no,)).fetchall()),
        )
    for session_id, known_at, observation in observations_of(connection, user_no):
        yield ExportedObservation(session_id=session_id, known_at=moment_of(known_at), observation=observation)


def _turns(connection: sqlite3.Connection, session_no: int) -> Iterator[ExportedTurn]:
    query = "SELECT turn_no, role, ts, ts_offset, text FROM turns WHERE turn_no BETWEEN ? AND ?"
    for turn_no, role, ts, offset, text in connection.execute(query, turns_of_session(session_no)):
        yield ExportedTurn(position=position_of(turn_no), role=ROLES[role], text=text, ts=moment_of(ts, offset))


class Restoration:
    """Lines into the memory of a user who has none, in one transaction of the caller's.

    Args:
        connection: In a transaction.
        user_no: Who gets them.
        user: The same by name.
    """

    def __init__(self, connection: sqlite3.Connection, user_no: int, user: str) -> None:
        self._connection = connection
        self._user_no = user_no
        self._user = user
        self._writing = Writing(connection, user_no, user)
        self._unwritten = 0
        self._names: set[str] = set()
        self._sessions: dict[str, SessionRow] = {}
        self._observations: dict[str, str] = {}

    def restore(self, lines: Iterable[ExportedLine]) -> IngestReport:
        """Writes them all.

        Raises:
            InputError: If the user has sessions, or a line refers to what no line before it brought.
        """
        span = (session_number(self._user_no, 0), session_number(self._user_no + 1, 0))
        query = "SELECT 1 FROM sessions WHERE session_no >= ? AND session_no < ?"
        if self._connection.execute(query, span).fetchone() is not None:
            raise InputError(f"User {self._user!r} has sessions already; restore into a user without any.")
        turns = 0
        for line in lines:
            if isinstance(line, ExportedSession):
                turns += len(line.turns)
                self._session(line)
            else:
                self._flush()
                self._observation(line)
        self._flush()
        return IngestReport(added=len(self._sessions), turns=turns)

    def _flush(self) -> None:
        self._writing.flush()
        self._unwritten = 0

    def _session(self, line: ExportedSession) -> None:
        if fault := line.fault():
            raise InputError(f"Exported session {line.id[:80]!r} cannot be restored: {fault}; export it anew.")
        if line.id in self._names or line.public_id in self._sessions:
            raise InputError(f"The export holds session {line.id[:80]!r} twice; pass each line once.")
        self._names.add(line.id)
        at, offset = instant(line.started_at), offset_minutes(line.started_at)
        turns = [(turn.position, Turn(role=turn.role, text=turn.text, ts=turn.ts)) for turn in line.turns]
        row = self._writing.add(line.id, (at, offset), line.length, turns)
        self._unwritten += len(turns)
        if self._unwritten >= _TURNS_AT_ONCE:
            self._flush()
        for observer, through in line.observed.items():
            mark_observed(self._connection, row.session_no, observer, through)
        self._sessions[line.public_id] = row

    def _observation(self, line: ExportedObservation) -> None:
        old = line.observation
        changes = {
            "source_turn_ids": tuple(self._turn_id(source) for source in old.source_turn_ids),
            "supersedes": None if old.supersedes is None else self._observations.get(old.supersedes, old.supersedes),
        }
        row = self._sessions.get(line.session_id)
        if row is None:
            raise InputError(f"An exported observation is of session {line.session_id!r}, which is not in the export.")
        known = row.last_at if line.known_at is None else instant(line.known_at)
        made = write_observation(self._connection, self._user_no, row, old.model_copy(update=changes), known)
        self._observations[old.id] = made

    def _turn_id(self, old: str) -> str:
        parts = split_turn_id(old)
        row = self._sessions.get(parts[0]) if parts else None
        return turn_id(row.public_id, parts[1]) if parts and row else old
