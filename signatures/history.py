"""Chat histories: sessions of turns, with their times, as the input of a task."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import pydantic

from rlm_module.errors import InputError
from rlm_module.signatures.documents import read_text
from rlm_module.signatures.inputs import PREVIEW_CHARS, SandboxInput, lines_within, short

_SHOWN_SESSIONS = 4
_LAYOUT = (
    "A session has `id`, `timestamp` and `turns`; a turn has `role`, `text` and `timestamp`, by key and in this "
    "package's sandbox as attributes, too. A timestamp is a datetime or None, and turns count from 0 in their session."
)
_TIMES = ("timestamp", "time", "date", "created_at")
_IDS = ("id", "session_id", "session")


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said.

    Args:
        role: By whom, such as `user`.
        text: In which words.
        timestamp: When, if that is known.
    """

    role: str
    text: str
    timestamp: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation.

    Args:
        id: What it is cited by.
        turns: In order.
        timestamp: When it began, if that is known.
    """

    id: str
    turns: tuple[Turn, ...]
    timestamp: dt.datetime | None = None

    def time_of(self, turn: Turn) -> dt.datetime | None:
        """When a turn of it was said: its own time, else the session's."""
        return turn.timestamp or self.timestamp


class ChatHistory(SandboxInput):
    """Sessions of turns; in the sandbox a list of them, oldest first where all have a time.

    Args:
        sessions: A list of messages in OpenAI's form (`role` and `content`), which make up one session; or a list of
            sessions: such lists, `Session` objects, or dicts with `turns` (or `messages`), `id` and `timestamp`.
            Timestamps are datetimes, ISO texts or seconds since 1970. Where only some name a time zone, the others
            count as UTC.

    Raises:
        InputError: If it is something else, or two sessions have one id.
    """

    _sessions: list[Session] = pydantic.PrivateAttr()

    def __init__(self, sessions: Any) -> None:
        super().__init__()
        found = _uniform(_sessions(sessions))
        ids = [session.id for session in found]
        if len(set(ids)) < len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise InputError(f"Two sessions have the id {twice!r}; give each its own.")
        if all(session.timestamp for session in found):
            found.sort(key=lambda session: session.timestamp or dt.datetime.min)
        self._sessions = found

    @classmethod
    def read(cls, path: str | PathLike[str]) -> ChatHistory:
        """Loads a JSON file, or a JSONL file of which each line is a session or a message.

        Messages of a JSONL file that name their `session_id` (or `session`) are put together by it.

        Raises:
            InputError: If the file cannot be read, or is no chat history.
        """
        text = read_text(Path(path))
        try:
            return cls(json.loads(text))
        except json.JSONDecodeError:
            pass
        try:
            return cls([json.loads(line) for line in text.splitlines() if line.strip()])
        except json.JSONDecodeError as error:
            raise InputError(f"{path} is neither JSON nor JSONL ({error}); mend it.") from error

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All of them, in order."""
        return tuple(self._sessions)

    def as_of(self, moment: dt.datetime | dt.date | str) -> ChatHistory:
        """The history as it was at a time; a date includes its whole day.

        A turn without a time of its own has its session's; turns without either are left out.
        """
        known = [
            replace(session, turns=tuple(turn for turn in session.turns if is_known(session.time_of(turn), moment)))
            for session in self._sessions
        ]
        return ChatHistory([session for session in known if session.turns])

    def sandbox_value(self) -> list[Session]:
        return self._sessions

    def size(self) -> tuple[int, str]:
        return len(self._sessions), "sessions"

    def rlm_preview(self, max_chars: int = PREVIEW_CHARS) -> str:
        sessions = self._sessions
        turns = sum(len(session.turns) for session in sessions)
        chars = sum(len(turn.text) for session in sessions for turn in session.turns)
        lines = [f"A list of {len(sessions):,} sessions, {turns:,} turns, {chars:,} characters{self._span()}.", _LAYOUT]
        shown = sessions if len(sessions) <= _SHOWN_SESSIONS else [*sessions[: _SHOWN_SESSIONS - 1], sessions[-1]]
        for session in shown:
            first = session.turns[0] if session.turns else Turn("", "")
            when = f" ({session.timestamp})" if session.timestamp else ""
            says = f"{short(first.role, 20)}: {short(first.text, 160)}"
            lines.append(f"- {short(session.id, 60)!r}{when}: {len(session.turns):,} turns, begins {says}")
        return lines_within(lines, max_chars)

    def __repr__(self) -> str:
        turns = sum(len(session.turns) for session in self._sessions)
        return f"ChatHistory({len(self._sessions):,} sessions, {turns:,} turns{self._span()})"

    def _span(self) -> str:
        times = [time for session in self._sessions for turn in session.turns if (time := session.time_of(turn))]
        return f", from {min(times)} to {max(times)}" if times else ""


def is_known(time: dt.datetime | None, moment: dt.datetime | dt.date | str) -> bool:
    """Whether what was said at a time was known at a moment, whichever of the two names a time zone."""
    if time is None:
        return False
    if isinstance(moment, str):
        is_day = len(moment.strip()) == len("2024-01-31")
        moment = dt.date.fromisoformat(moment.strip()) if is_day else dt.datetime.fromisoformat(moment.strip())
    if not isinstance(moment, dt.datetime):
        return time.date() <= moment
    return _aware(time) <= _aware(moment)


def _sessions(given: Any) -> list[Session]:
    if isinstance(given, ChatHistory):
        return list(given.sessions)
    if isinstance(given, Mapping):
        given = given.get("sessions", [given])
    if not isinstance(given, (list, tuple)):
        raise InputError(f"A chat history is a list of sessions or messages, not {type(given).__name__}; pass such.")
    if given and all(_is_message(item) for item in given):
        return _grouped(given)
    return [_session(item, f"session_{number}") for number, item in enumerate(given, 1)]


def _is_message(item: Any) -> bool:
    return isinstance(item, Turn) or (isinstance(item, Mapping) and "role" in item)


def _grouped(messages: Iterable[Any]) -> list[Session]:
    groups: dict[str, list[Turn]] = {}
    for message in messages:
        name = message.get("session_id", message.get("session")) if isinstance(message, Mapping) else None
        groups.setdefault("session_1" if name is None else str(name), []).append(_turn(message))
    return [Session(name, tuple(turns), turns[0].timestamp) for name, turns in groups.items()]


def _session(item: Any, name: str) -> Session:
    if isinstance(item, Session):
        return item
    if isinstance(item, (list, tuple)):
        item = {"turns": item}
    turns = item.get("turns", item.get("messages")) if isinstance(item, Mapping) else None
    if not isinstance(turns, (list, tuple)):
        raise InputError(
            f"A session is a list of messages, or a dict with `turns`, not {type(item).__name__}; convert it."
        )
    read = tuple(_turn(turn) for turn in turns)
    own = next((item[key] for key in _IDS if item.get(key) is not None), name)
    return Session(str(own), read, _time(item) or next((turn.timestamp for turn in read), None))


def _turn(item: Any) -> Turn:
    if isinstance(item, Turn):
        return item
    if not isinstance(item, Mapping) or "role" not in item:
        raise InputError("A message is a dict with `role` and `content` (or `text`); convert it.")
    return Turn(str(item["role"]), _text(item.get("text", item.get("content"))), _time(item))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # parts, of which only text counts
        parts = (part.get("text") if isinstance(part, Mapping) else part for part in content)
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def _time(item: Mapping[str, Any]) -> dt.datetime | None:
    value = next((item[key] for key in _TIMES if item.get(key) is not None), None)
    if value is None or isinstance(value, dt.datetime):
        return value
    try:
        if isinstance(value, (int, float)):
            return dt.datetime.fromtimestamp(value, dt.UTC)
        return dt.datetime.fromisoformat(str(value).strip())
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(f"{short(str(value))!r} is no time ({error}); write it as 2024-01-31T09:00:00.") from error


def _uniform(sessions: list[Session]) -> list[Session]:
    """With a time zone in all timestamps or in none, so that they compare."""
    times = [time for session in sessions for time in (session.timestamp, *(turn.timestamp for turn in session.turns))]
    if len({time.tzinfo is None for time in times if time}) < 2:
        return sessions

    def aware(time: dt.datetime | None) -> dt.datetime | None:
        return None if time is None else _aware(time)

    return [
        replace(
            session,
            timestamp=aware(session.timestamp),
            turns=tuple(replace(turn, timestamp=aware(turn.timestamp)) for turn in session.turns),
        )
        for session in sessions
    ]


def _aware(time: dt.datetime) -> dt.datetime:
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)
