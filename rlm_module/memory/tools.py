"""What generated code may call: it lists, searches and reads one user's memory, and has sub-models read sessions.

The functions work on the current `Inquiry`, which the host opens for each question. None of them takes a user.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeAlias, cast

from rlm_module import SubcallError, concurrent
from rlm_module.errors import InputError
from rlm_module.memory import dates
from rlm_module.memory.data import Observation, ObservationKind, Role, Session, Turn
from rlm_module.memory.found import SessionLine
from rlm_module.memory.inquiry import Inquiry, current_inquiry
from rlm_module.memory.reading import Reader, Reading

When: TypeAlias = str | dt.datetime | dt.date
_SAID_CHARS = 4_000
"""How much an observation shows of a turn it rests on: all of most replies, since a turn cut short can't be cited."""


@dataclass(frozen=True, slots=True)
class SessionList:
    """Some of the sessions, the earliest first; `cursor` is what to pass for the next page, None after the last."""

    sandbox_repr_chars: ClassVar[int] = 20_000
    sessions: tuple[SessionLine, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class TurnView:
    """A turn; printing it shows the beginning of a long text, while `text` holds all of it."""

    sandbox_repr_chars: ClassVar[int] = 1_000
    id: str
    session_id: str
    role: str
    ts: dt.datetime
    text: str

    @classmethod
    def of(cls, turn: Turn, session_id: str) -> TurnView:
        """A turn of a session."""
        return cls(turn.id, session_id, turn.role, turn.ts, turn.text)


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session; printing it shows the beginning, while `turns` holds all of it."""

    sandbox_repr_chars: ClassVar[int] = 2_000
    id: str
    started_at: dt.datetime
    turns: tuple[TurnView, ...]

    @classmethod
    def of(cls, session: Session) -> SessionView:
        """A whole session."""
        return cls(session.id, session.started_at, tuple(TurnView.of(turn, session.id) for turn in session.turns))


@dataclass(frozen=True, slots=True)
class ObservationView:
    """An observation, with how the turns begin that it rests on."""

    sandbox_repr_chars: ClassVar[int] = 1_500
    id: str
    kind: ObservationKind
    subject: str
    value: str
    stated_at: dt.datetime
    refers_start: dt.datetime | None
    refers_end: dt.datetime | None
    supersedes: str | None
    source_turn_ids: tuple[str, ...]
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObservationList:
    """Some of the observations; `cursor` is what to pass for the next page, None after the last."""

    sandbox_repr_chars: ClassVar[int] = 20_000
    observations: tuple[ObservationView, ...]
    cursor: str | None


@concurrent
def list_sessions(
    after: When | None = None, before: When | None = None, limit: int = 100, cursor: str | None = None
) -> SessionList:
    """Sessions that began from `after` on and earlier than `before`, the earliest first.

    `.sessions` has `id`, `started_at`, `turns` (how many) and `opening` of each; pass `.cursor` for the next page.
    """
    inquiry = current_inquiry()
    page = inquiry.memory.list_sessions(
        after=_moment(inquiry, after), before=_moment(inquiry, before), limit=limit, cursor=cursor
    )
    return SessionList(page.items, page.cursor)


@concurrent
def search(query: str, k: int = 10, role: str | None = None) -> list[TurnView]:
    """Turns that share words with the query, the best first, with `id`, `session_id`, `role`, `ts` and `text`.

    It matches words, not meanings: ask with several words for the same thing. `role` is "user" or "assistant".
    """
    inquiry = current_inquiry()
    hits = inquiry.memory.search(query, k, role=cast("Role | None", role))  # another is refused there, in a sentence
    inquiry.note(hit.turn.id for hit in hits)
    return [TurnView.of(hit.turn, hit.session_id) for hit in hits]


@concurrent
def get_session(id: str) -> SessionView:
    """A session with `started_at` and all its `turns` (`id`, `role`, `ts`, `text`). Printing it shows only a part."""
    return SessionView.of(current_inquiry().session(id))


@concurrent
def observations(
    subject: str | None = None,
    kind: str | None = None,
    as_of: When | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> ObservationList:
    """What was learned from the sessions and still held at `as_of` (default: at the time of the question), as stated.

    `kind` is "fact", "preference", "event", "plan", "update" or "assistant_output"; default: all of them.
    `.observations` has `kind`, `subject`, `value`, `stated_at`, `refers_start` and `refers_end` (when it happened),
    `source_turn_ids` and `said` of each: how those turns begin. A longer one can be cited once its session was read.
    What a later statement replaced is left out; `timeline` has it.
    """
    inquiry = current_inquiry()
    page = inquiry.memory.observations(
        subject=subject,
        kind=cast("ObservationKind | None", kind),  # another is refused there, in a sentence
        current=True,
        limit=limit,
        cursor=cursor,
        as_of=_moment(inquiry, as_of),
    )
    return ObservationList(tuple(_views(inquiry, page.items)), page.cursor)


@concurrent
def timeline(subject: str) -> list[ObservationView]:
    """All that was ever observed about a subject, in order of time, with what has been replaced since."""
    inquiry = current_inquiry()
    return list(_views(inquiry, inquiry.memory.timeline(subject)))


@concurrent
def date_diff(a: When, b: When, unit: str = "days") -> float:
    """How much later b is than a, in "minutes", "hours", "days", "weeks", "months" or "years"."""
    inquiry = current_inquiry()
    first, last = _moment(inquiry, a), _moment(inquiry, b)
    if first is None or last is None:
        raise InputError("date_diff needs two times; pass both.")
    return dates.date_diff(first, last, unit)


@concurrent
def ask_session(id: str, question: str) -> Reading:
    """Has a sub-model read a whole session with a question of yours; it sees nothing else.

    Returns `session_id`, `started_at`, `answer` (None if the session says nothing on it) and `turns`, the ids of the
    turns that say so. Raises SubcallError where it fails.
    """
    inquiry = current_inquiry()
    return _reader(inquiry).read(inquiry, id, question)


@concurrent
def map_sessions(ids: list[str], question: str) -> list[Reading | SubcallError]:
    """The same for many sessions at once, in order; a failed one is a SubcallError, which is falsy."""
    inquiry = current_inquiry()
    return _reader(inquiry).read_all(inquiry, ids, question)


READING_TOOLS: tuple[Callable[..., Any], ...] = (list_sessions, search, get_session, date_diff)
OBSERVATION_TOOLS: tuple[Callable[..., Any], ...] = (observations, timeline)
DELEGATION_TOOLS: tuple[Callable[..., Any], ...] = (ask_session, map_sessions)


def _views(inquiry: Inquiry, found: Iterable[Observation]) -> Iterable[ObservationView]:
    for one in found:
        turns = [inquiry.memory.get_turn(turn_id) for turn_id in one.source_turn_ids]
        inquiry.note(turn.id for turn in turns if len(turn.text) <= _SAID_CHARS)
        said = tuple(turn.text[:_SAID_CHARS] for turn in turns)
        copied = {part.name: getattr(one, part.name) for part in fields(ObservationView) if part.name != "said"}
        yield ObservationView(**copied, said=said)


def _moment(inquiry: Inquiry, given: When | None) -> dt.datetime | None:
    """A time as generated code wrote it; a date is its beginning."""
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    try:
        moment = dt.datetime.fromisoformat(given.strip()) if isinstance(given, str) else given
    except ValueError:
        raise InputError(f"{str(given)[:60]!r} is no time; write it as 2024-05-31 or 2024-05-31T18:00.") from None
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime.combine(moment, dt.time())
    return moment if moment.tzinfo else moment.replace(tzinfo=inquiry.zone)


def _reader(inquiry: Inquiry) -> Reader:
    if inquiry.reader is None:
        raise InputError("This memory does not delegate; read the session with get_session.")
    return inquiry.reader
