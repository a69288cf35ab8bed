"""What the readers have in common: roles, texts and times into sessions, and what is odd about them into notes."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from rlm_module.errors import InputError
from rlm_module.memory.data import Role, Session, read_session

_ROLES: dict[str, Role] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_LONG_CHARS = 1_000_000
_WEEKDAY = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?:\s*\(\w+\))?(?:\s+(\d{1,2}):(\d{2}))?")


@dataclass(frozen=True, slots=True)
class Read:
    """What a file held.

    Args:
        sessions: In the order of the file.
        notes: What was odd about it, a sentence each: no text was lost by it.
    """

    sessions: tuple[Session, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A turn as a file has it.

    Args:
        role: By whom.
        text: In which words.
        time: When, in any form; None where the file does not say.
    """

    role: Any
    text: str
    time: Any = None


class Collection:
    """Sessions of one file.

    Args:
        source: The file, for what is told of it.
        zone: Where times that name no zone are read.
    """

    def __init__(self, source: object, zone: dt.tzinfo) -> None:
        self._source = source
        self._zone = zone
        self._sessions: dict[str, Session] = {}
        self._empty_turns = 0
        self._parts_left_out = 0
        self._naive = 0
        self._without: list[str] = []
        self._long: list[str] = []

    def add(self, name: str, begun: Any, turns: Iterable[Said]) -> Session | None:
        """Adds a session; None where it has no turns, which is noted.

        Args:
            name: Its id.
            begun: When it began, in any form; where that is missing, its first turn's time counts.
            turns: In order.

        Raises:
            InputError: If it has an id that another one has, no time, or a turn that cannot be understood.
        """
        if name in self._sessions:
            raise InputError(f"Two sessions of {self._source} have the id {name[:80]!r}; give each its own.")
        said = list(turns)
        if not said:
            self._without.append(name)
            return None
        start = begun if begun is not None else next((turn.time for turn in said if turn.time is not None), None)
        if start is None:
            raise InputError(f"Session {name[:80]!r} of {self._source} has no time; give it `started_at`.")
        started_at = self._time(start, name)
        fields = [self._turn(turn, name, place, started_at) for place, turn in enumerate(said)]
        session = read_session({"id": name, "started_at": started_at, "turns": fields}, self._zone)
        self._sessions[name] = session
        return session

    def text_of(self, turn: Mapping[str, Any], what: str, fields: Sequence[str] = ("text", "content")) -> str:
        """The words of a turn: a text, or the texts among its parts; none where it says so by null.

        Args:
            turn: The turn.
            what: What it is, for an error.
            fields: Where its words may stand, the first that is there.

        Raises:
            InputError: If there are no such words, which would be lost otherwise.
        """
        found = [turn[name] for name in fields if name in turn]
        content = next((value for value in found if value is not None), None)
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            return "\n".join(self.texts_in(cast("list[Any]", content)))
        if content is None and found:
            return ""
        names = " or ".join(f"`{name}`" for name in fields)
        raise InputError(f"{what} of {self._source} has no text; give it {names}.")

    def texts_in(self, parts: Iterable[Any]) -> Iterator[str]:
        """The texts among parts of a turn; that others are left out will be noted."""
        for part in parts:
            text = cast("Mapping[str, Any]", part).get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str):
                yield text
            else:
                self.leave_out(1)

    def leave_out(self, parts: int) -> None:
        """Counts parts that are no text."""
        self._parts_left_out += parts

    def read(self) -> Read:
        """All of them, and what was odd."""
        return Read(tuple(self._sessions.values()), tuple(self._notes()))

    def _turn(self, turn: Said, name: str, place: int, started_at: dt.datetime) -> dict[str, Any]:
        role = _ROLES.get(turn.role.lower()) if isinstance(turn.role, str) else None
        if role is None:
            raise InputError(
                f"Turn {place} of session {name[:80]!r} has the role {str(turn.role)[:40]!r} in {self._source}, "
                f"which is none of {', '.join(_ROLES)}; rename it."
            )
        self._empty_turns += not turn.text.strip()
        if len(turn.text) > _LONG_CHARS:
            self._long.append(
                f"Turn {place} of session {name[:80]!r} has {len(turn.text):,} characters; it is kept whole."
            )
        ts = started_at if turn.time is None else self._time(turn.time, name)
        return {"role": role, "text": whole(turn.text), "ts": ts}

    def _time(self, value: Any, name: str) -> dt.datetime:
        try:
            moment = time_of(value)
        except (ValueError, OverflowError, OSError) as error:
            raise InputError(
                f"{str(value)[:40]!r} of session {name[:80]!r} is no time; write it as 2024-01-31T09:00:00+01:00."
            ) from error
        if moment.tzinfo is None:
            self._naive += 1
            return moment.replace(tzinfo=self._zone)
        return moment

    def _notes(self) -> Iterable[str]:
        starts = [session.started_at for session in self._sessions.values()]
        if starts != sorted(starts):
            yield f"Sessions of {self._source} are not in the order of their times; lists will be."
        if self._naive:
            yield f"{self._naive:,} times of {self._source} name no zone and were read in {self._zone}."
        if self._empty_turns:
            yield f"{self._empty_turns:,} turns of {self._source} are empty; they are kept, and no search finds them."
        if self._parts_left_out:
            yield f"{self._parts_left_out:,} parts of {self._source}, such as pictures, are no text and are left out."
        if self._without:
            first = self._without[0][:80]
            yield f"{len(self._without):,} sessions of {self._source} have no turns and are left out, as {first!r}."
        yield from self._long


def time_of(value: Any) -> dt.datetime:
    """A time in any form that files have: ISO, `2023/05/20 (Sat) 02:21`, seconds since 1970.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return dt.datetime.fromtimestamp(value, dt.UTC)
    match = _WEEKDAY.fullmatch(str(value).strip())
    if match:
        year, month, day, hour, minute = (int(part or 0) for part in match.groups())
        return dt.datetime(year, month, day, hour, minute)
    return dt.datetime.fromisoformat(str(value).strip())


def whole(text: str) -> str:
    """The text without halves of characters, which no file can hold; what they were halves of was lost before."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
