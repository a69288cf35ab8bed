"""`UserMemory` over a file of SQLite."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rlm_module.errors import InputError
from rlm_module.memory.data import Observation, ObservationKind, Role, Session, Turn
from rlm_module.memory.exported import ExportedLine
from rlm_module.memory.found import Forgotten, Hit, IngestReport, Page, Pending, SessionLine
from rlm_module.memory.sqlite import forgetting, observing, reading
from rlm_module.memory.sqlite.connections import Connections
from rlm_module.memory.sqlite.exporting import Restoration, export
from rlm_module.memory.sqlite.paging import checked_limit
from rlm_module.memory.sqlite.searching import Question, search
from rlm_module.memory.sqlite.users import (
    EVER,
    make_user,
    session_by_caller_id,
    session_by_public_id,
    turn_by_public_id,
    user_number,
)
from rlm_module.memory.sqlite.writing import Writing, refuse_changed
from rlm_module.memory.times import instant

_TURNS_AT_ONCE = 1_000


class SqliteUser:
    """One user of a `SqliteStore`, which makes it; what it does is told in `UserMemory`."""

    def __init__(self, connections: Connections, path: str, name: str, as_of: dt.datetime | None) -> None:
        self._connections = connections
        self._path = path
        self._name = name
        self._bound = None if as_of is None else instant(as_of)

    @property
    def name(self) -> str:
        return self._name

    def ingest(self, sessions: Iterable[Session], *, replace: bool = False) -> IngestReport:
        self._refuse_if_bound()
        if isinstance(sessions, Session) or not isinstance(sessions, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f"ingest takes sessions, not one {type(sessions).__name__}; pass a list of them.")
        if isinstance(sessions, Sequence):
            for _ in _batches(sessions):
                pass
            if not replace:
                with self._connections.reading() as connection:
                    refuse_changed(connection, user_number(connection, self._name), sessions)
        report = IngestReport()
        for batch in _batches(sessions):  # nobody waits for a writer whose sessions are still being made
            with self._writing() as (connection, user_no):
                writing = Writing(connection, user_no, self._name)
                for session in batch:
                    report += writing.write(session, replace)
                writing.flush()
        return report

    def session_id(self, caller_id: str) -> str | None:
        with self._reading() as (connection, user_no):
            row = None if user_no is None else session_by_caller_id(connection, user_no, caller_id)
        return row.public_id if row and row.started_at <= self._known(None) else None

    def list_sessions(
        self,
        *,
        after: dt.datetime | None = None,
        before: dt.datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
        as_of: dt.datetime | None = None,
    ) -> Page[SessionLine]:
        span = (-EVER if after is None else instant(after), EVER if before is None else instant(before))
        with self._reading() as (connection, user_no):
            known = self._known(as_of)
            return reading.list_sessions(connection, user_no, span, checked_limit(limit), cursor, known)

    def get_session(self, session_id: str, *, as_of: dt.datetime | None = None) -> Session:
        with self._reading() as (connection, user_no):
            return reading.get_session(connection, user_no, session_id, self._known(as_of))

    def get_turn(self, turn_id: str, *, as_of: dt.datetime | None = None) -> Turn:
        with self._reading() as (connection, user_no):
            return reading.get_turn(connection, user_no, turn_id, self._known(as_of))

    def search(
        self, query: str, k: int = 10, *, role: Role | None = None, as_of: dt.datetime | None = None
    ) -> tuple[Hit, ...]:
        question = Question(query, k, role, self._known(as_of))
        with self._connections.ranker() as ranker, self._reading() as (connection, user_no):
            return () if user_no is None else search(connection, ranker, user_no, question)

    def observe(
        self,
        session_id: str,
        observations: Sequence[Observation],
        *,
        observer: str,
        first: int,
        through: int,
        log: Sequence[str] = (),
    ) -> tuple[str, ...]:
        read = observing.Reading(observer, first, through, log)
        with self._writing() as (connection, user_no):
            row = session_by_public_id(connection, user_no, session_id)
            return observing.observe(connection, user_no, row, observations, read)

    def pending(self, observer: str, *, limit: int = 100, cursor: str | None = None) -> Page[Pending]:
        self._refuse_if_bound()
        with self._reading() as (connection, user_no):
            return observing.pending(connection, user_no, observer, checked_limit(limit), cursor)

    def observations(
        self,
        *,
        subject: str | None = None,
        kind: ObservationKind | None = None,
        current: bool = False,
        limit: int = 100,
        cursor: str | None = None,
        as_of: dt.datetime | None = None,
    ) -> Page[Observation]:
        wanted = observing.Wanted(subject, kind, current, self._known(as_of))
        with self._reading() as (connection, user_no):
            return observing.observations(connection, user_no, wanted, checked_limit(limit), cursor)

    def timeline(self, subject: str, *, as_of: dt.datetime | None = None) -> tuple[Observation, ...]:
        found: list[Observation] = []
        page: Page[Observation] | None = None
        while page is None or page.cursor is not None:
            page = self.observations(subject=subject, limit=1_000, cursor=page.cursor if page else None, as_of=as_of)
            found += page.items
        return tuple(sorted(found, key=lambda observation: observation.refers_start or observation.stated_at))

    def forget_turn(self, turn_id: str, *, purge: bool = False) -> Forgotten:
        return self._forget(
            lambda connection, user_no: forgetting.forget_turn(
                connection, turn_by_public_id(connection, user_no, turn_id)
            ),
            purge,
        )

    def forget_session(self, session_id: str, *, purge: bool = False) -> Forgotten:
        return self._forget(
            lambda connection, user_no: forgetting.forget_session(
                connection, session_by_public_id(connection, user_no, session_id).session_no
            ),
            purge,
        )

    def forget_user(self, *, purge: bool = False) -> Forgotten:
        return self._forget(forgetting.forget_user, purge)

    def export(self) -> Iterator[ExportedLine]:
        self._refuse_if_bound()
        with self._reading() as (connection, user_no):
            if user_no is not None:
                yield from export(connection, user_no)

    def restore(self, lines: Iterable[ExportedLine]) -> IngestReport:
        with self._writing() as (connection, user_no):
            return Restoration(connection, user_no, self._name).restore(lines)

    def _known(self, as_of: dt.datetime | None) -> int:
        """The last microsecond that may be seen."""
        asked = EVER if as_of is None else instant(as_of)
        return asked if self._bound is None else min(asked, self._bound)

    def _refuse_if_bound(self) -> None:
        if self._bound is not None:
            raise InputError(
                "This handle is bound to a time and only reads; make one without `as_of` to change memory."
            )

    @contextmanager
    def _reading(self) -> Generator[tuple[sqlite3.Connection, int | None], None, None]:
        with self._connections.reading() as connection:
            yield connection, user_number(connection, self._name)

    @contextmanager
    def _writing(self) -> Generator[tuple[sqlite3.Connection, int], None, None]:
        self._refuse_if_bound()
        with self._connections.writing() as connection:
            yield connection, make_user(connection, self._name)

    def _forget(self, forget: Callable[[sqlite3.Connection, int], Forgotten], purge: bool) -> Forgotten:
        with self._writing() as (connection, user_no):
            gone = forget(connection, user_no)
        if purge:
            with self._connections.exclusively() as connection:
                forgetting.purge(connection, self._path)
        return gone


def _batches(sessions: Iterable[Session]) -> Iterator[list[Session]]:
    """Sessions of about as many turns as a transaction should have.

    Raises:
        InputError: If two sessions have one id, or one is none.
    """
    seen, batch, turns = set[str](), list[Session](), 0
    for session in sessions:
        if not isinstance(session, Session):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f"A session is {type(session).__name__}; make it one with rlm_module.memory.read_session.")
        if session.id in seen:
            raise InputError(f"Two sessions have the id {session.id!r}; give each its own.")
        seen.add(session.id)
        batch.append(session)
        turns += len(session.turns)
        if turns >= _TURNS_AT_ONCE:
            yield batch
            batch, turns = [], 0
    if batch:
        yield batch
