"""An inquiry: one question put to one user's memory as of a time, and what has been read for it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rlm_module.errors import InputError
from rlm_module.memory.data import Session, Turn
from rlm_module.memory.store import UserMemory

if TYPE_CHECKING:
    from rlm_module.memory.reading import Reader

_CURRENT: ContextVar[Inquiry | None] = ContextVar("rlm_module_inquiry", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What the tools of a run work on. It stays on the host: no argument of a tool can name another user or time.

    Args:
        memory: The memory of one user, bound to `as_of`.
        as_of: When the question is asked; nothing later is visible.
        reader: Reads sessions for the run; None where it may not delegate.
        zone: Where times that name no zone are read.
    """

    memory: UserMemory
    as_of: dt.datetime
    reader: Reader | None = None
    zone: dt.tzinfo = dt.UTC
    _read: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def open(self) -> Generator[None]:
        """Makes it the one that tools find, in this context and in copies of it."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    def session(self, session_id: str) -> Session:
        """A session, of which all turns count as read.

        Raises:
            InputError: If the user has no such session, or it was not known yet.
        """
        session = self.memory.get_session(session_id)
        self.note(turn.id for turn in session.turns)
        return session

    def note(self, turn_ids: Iterable[str]) -> None:
        """Takes down turns whose text was handed out."""
        found = set(turn_ids)
        with self._lock:
            self._read.update(found)

    def has_read(self, turn_id: str) -> bool:
        """Whether a turn's text was handed out."""
        with self._lock:
            return turn_id in self._read

    def turns(self, turn_ids: Iterable[str]) -> list[Turn]:
        """Those of the turns that exist, are known, and were read, each once."""
        found: list[Turn] = []
        for turn_id in dict.fromkeys(turn_ids):
            if self.has_read(turn_id):
                try:
                    found.append(self.memory.get_turn(turn_id))
                except InputError:  # forgotten while the question was answered
                    continue
        return found


def current_inquiry() -> Inquiry:
    """The inquiry of the run that this is called in.

    Raises:
        InputError: If there is none.
    """
    found = _CURRENT.get()
    if found is None:
        raise InputError("Tools of a memory work within a call of MemorySystem only; ask through that.")
    return found
