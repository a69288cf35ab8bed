"""What a store answers with, beside the records themselves."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Generic, TypeVar

from rlm_module.memory.data import Turn

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a longer list.

    Args:
        items: In order.
        cursor: What to pass for the next page; None where this is the last.
    """

    items: tuple[T, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session as a list shows it, and no more of it than was known at the time asked for.

    Args:
        id: Its opaque id.
        started_at: When it began.
        turns: How many it has.
        opening: How its first turn begins.
    """

    id: str
    started_at: dt.datetime
    turns: int
    opening: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A turn that a search found.

    Args:
        turn: The turn.
        session_id: Its session.
        score: How well it matches, higher is better; comparable within one search only.
    """

    turn: Turn
    session_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Pending:
    """A session of which an observer has not seen everything.

    Args:
        session_id: Which.
        first: The position of the first turn to observe; 0 where the observer has seen none of it.
        turns: How many turns of it there are to observe.
        chars: How long those are together, from which a price can be told.
    """

    session_id: str
    first: int
    turns: int
    chars: int


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did.

    Args:
        added: Sessions that were new.
        appended: Sessions that got further turns.
        replaced: Sessions that were changed, which `replace=True` allowed.
        unchanged: Sessions that were there as given.
        turns: Turns written.
    """

    added: int = 0
    appended: int = 0
    replaced: int = 0
    unchanged: int = 0
    turns: int = 0

    def __add__(self, other: IngestReport) -> IngestReport:
        return IngestReport(
            self.added + other.added,
            self.appended + other.appended,
            self.replaced + other.replaced,
            self.unchanged + other.unchanged,
            self.turns + other.turns,
        )


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed.

    Args:
        sessions: How many sessions.
        turns: How many turns, those of the sessions included.
        observations: How many observations that rested on one of them, or superseded one that did.
    """

    sessions: int
    turns: int
    observations: int
