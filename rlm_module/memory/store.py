"""What a memory store must do: one protocol for the store, one for what a user of it may see and change.

`rlm_module.memory.conformance` holds checks that any implementation can run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from rlm_module.memory.data import Observation, ObservationKind, Role, Session, Turn
from rlm_module.memory.exported import ExportedLine
from rlm_module.memory.found import Forgotten, Hit, IngestReport, Page, Pending, SessionLine


class UserMemory(Protocol):
    """The memory of one user, which no argument of any method can leave.

    Whatever it returns was known at `as_of`, as far as it was known then; None means all there is. A handle that was
    made with an `as_of` of its own sees nothing later whatever it is asked for, and changes nothing.

    Sessions and turns go by opaque ids, which the store makes of nothing but the user's name, the caller's id of the
    session, and the turn's position; the same input gets the same ids in every store. The caller's ids come back in
    `export` only.

    A handle belongs to its store and needs no closing. It may be used from several threads.

    Every method raises `StoreBusyError` where another process kept the store for longer than its patience, and
    `StoreError` where the store is closed or damaged. What is asked for wrongly raises `InputError`.
    """

    @property
    def name(self) -> str:
        """Whose memory it is."""
        ...

    def ingest(self, sessions: Iterable[Session], *, replace: bool = False) -> IngestReport:
        """Adds what is new; the same again changes nothing.

        A session that was ingested before is appended to if its old turns are a prefix of the new ones. Turns that were
        forgotten count as equal to whatever stands in their place, and stay forgotten.

        Writes in transactions of about a thousand turns, a session never in two. A list or tuple is checked as a whole
        before anything is written; of another iterable, the transactions before a fault stay, and ingesting
        all of it again goes on from there.

        Args:
            sessions: In any order; each id at most once.
            replace: Whether a session with other turns than before takes the old one's place. Observations of the old
                one are then forgotten. Where a turn was forgotten, none is put.

        Raises:
            SessionChangedError: If a session has other turns than before and `replace` is false.
            InputError: If two sessions have one id, something else than a session is among them, or the handle is
                bound to a time.
        """
        ...

    def session_id(self, caller_id: str) -> str | None:
        """The opaque id of a session that the caller knows by another; None where there is none such."""
        ...

    def list_sessions(
        self,
        *,
        after: dt.datetime | None = None,
        before: dt.datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
        as_of: dt.datetime | None = None,
    ) -> Page[SessionLine]:
        """Sessions, the earliest first, without those of which no turn was known or all are forgotten.

        Args:
            after: Only those that began then or later.
            before: Only those that began earlier.
            limit: How many at most, up to 1,000.
            cursor: That of the page before.
            as_of: What was known then.
        """
        ...

    def get_session(self, session_id: str, *, as_of: dt.datetime | None = None) -> Session:
        """A session with the turns that were known.

        Raises:
            InputError: If the user has no such session, or it was not known yet; the two are not told apart.
        """
        ...

    def get_turn(self, turn_id: str, *, as_of: dt.datetime | None = None) -> Turn:
        """One turn.

        Raises:
            InputError: If the user has no such turn, or it was not known yet.
        """
        ...

    def search(
        self, query: str, k: int = 10, *, role: Role | None = None, as_of: dt.datetime | None = None
    ) -> tuple[Hit, ...]:
        """Turns that share words with a question, ranked by BM25, the best first and the latest of equals.

        Words that nearly every text has are not looked for. A question without any other finds nothing.

        Args:
            query: Words, of which each counts for itself; nothing in it is an operator.
            k: How many at most, from 1 to 1,000.
            role: Whose turns; default: everybody's.
            as_of: What was known then.
        """
        ...

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
        """Writes what an observer made of a session, and that it did, in one transaction.

        Where `first` is 0, observations that were made of the session before are forgotten. An observation is known no
        sooner than the last turn that was read for it, cited or not, and than what of the log was shown.

        Args:
            session_id: The session.
            observations: Each with sources in this user's memory; `supersedes` may name an observation there is.
            observer: Name and version of what made them; another one will find all sessions pending.
            first: From which position on the session was read.
            through: Up to which position, that one not included.
            log: Ids of the observations that the observer was shown; one that is gone does not count.

        Returns:
            The ids of the observations, in order.

        Raises:
            InputError: If a source or a superseded observation is not there, or the observer's mark is no longer at
                `first`, since somebody else was faster.
        """
        ...

    def pending(self, observer: str, *, limit: int = 100, cursor: str | None = None) -> Page[Pending]:
        """Sessions of which an observer has not seen everything, in the order in which they were ingested."""
        ...

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
        """Observations, in the order in which they were stated.

        Args:
            subject: Only those about it; case does not count.
            kind: Only those of the kind.
            current: Whether to leave out what another observation supersedes that was known by then.
            limit: How many at most, up to 1,000.
            cursor: That of the page before.
            as_of: What was known then.
        """
        ...

    def timeline(self, subject: str, *, as_of: dt.datetime | None = None) -> tuple[Observation, ...]:
        """All that was observed about a subject, by the time it refers to, else by when it was stated."""
        ...

    def forget_turn(self, turn_id: str, *, purge: bool = False) -> Forgotten:
        """Removes a turn and every observation that rests on it; other turns keep their ids.

        An observation that superseded one of these may tell what it said: it goes as well, and its session is pending.

        Args:
            turn_id: The turn.
            purge: Whether its bytes must be gone, too, from every file of the store, before this returns. That
                takes time in proportion to the whole store.

        Raises:
            InputError: If the user has no such turn.
            StoreBusyError: If readers kept the bytes from being purged: then it is forgotten, and `purge` of the store
                can be tried again.
        """
        ...

    def forget_session(self, session_id: str, *, purge: bool = False) -> Forgotten:
        """The same for a session. Ingested again, it is a new one with the same id."""
        ...

    def forget_user(self, *, purge: bool = False) -> Forgotten:
        """The same for all that there is of the user, the name included."""
        ...

    def export(self) -> Iterator[ExportedLine]:
        """All there is of the user as it is now, each session before the observations that rest on it.

        The iterator holds the store open for reading until it ends or is closed.
        """
        ...

    def restore(self, lines: Iterable[ExportedLine]) -> IngestReport:
        """Takes in what `export` gave, of this user or another, into a user who has nothing yet, in one transaction.

        Raises:
            InputError: If the user has sessions already, or a line refers to what no line before it brought.
        """
        ...


class MemoryStore(Protocol):
    """Many users' memories in one place.

    Whoever makes a store closes it. Any number of threads and processes may read while one writes.
    """

    def user(self, name: str, *, as_of: dt.datetime | None = None) -> UserMemory:
        """The memory of a user, which is empty at first.

        Args:
            name: Who; at most 512 characters.
            as_of: A time after which the handle sees nothing, and with which it only reads.
        """
        ...

    def users(self) -> Iterator[str]:
        """Who has a memory here, by name."""
        ...

    def purge(self) -> None:
        """Overwrites what was forgotten in every file of the store; takes time in proportion to its size.

        Raises:
            StoreBusyError: If others read or wrote for longer than the store's patience.
        """
        ...

    def close(self) -> None:
        """Lets go of the files; closing twice is allowed."""
        ...
