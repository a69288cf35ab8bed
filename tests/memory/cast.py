"""Chats of two users, and one scripted LM that plays the root, the readers, the observer and the check."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dspy.lm15 import Request

from rlm_module.memory import Session, SqliteStore, Turn, read_session
from tests.scripted import Reply, ScriptedLM, fields, texts, turn

Rows = Sequence[tuple[str, str]]
_EXTRACT = "Your output fields are:\n1. `answer`"
YES = fields(kind="statement", follows="True", counted="[]", dates="[]")
NO = fields(kind="statement", follows="False", counted="[]", dates="[]")


def chat(name: str, day: str, *said: tuple[str, str]) -> Session:
    """A session of (role, text) pairs on a day."""
    turns = [{"role": role, "text": text} for role, text in said]
    return read_session({"id": name, "started_at": f"{day}T10:00:00+00:00", "turns": turns})


ANN = [
    chat("bike", "2024-03-01", ("user", "I bought a red Cube bicycle yesterday."), ("assistant", "Enjoy the ride!")),
    chat("move", "2024-04-10", ("user", "I live in Oslo now."), ("assistant", "Oslo is lovely.")),
    chat("again", "2024-06-20", ("user", "We moved to Bergen last week."), ("assistant", "Bergen is rainy.")),
]
BOB = [chat("secret", "2024-03-02", ("user", "My bicycle lock code is 4711."), ("assistant", "Noted."))]
AS_OF = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)


def filled(store: SqliteStore) -> SqliteStore:
    """The store with both users."""
    store.user("ann").ingest(ANN)
    store.user("bob").ingest(BOB)
    return store


def turns_of(store: SqliteStore, user: str) -> dict[str, Turn]:
    """All turns of a user by text."""
    memory = store.user(user)
    sessions = [memory.get_session(line.id) for line in memory.list_sessions().items]
    return {one.text: one for session in sessions for one in session.turns}


class Cast:
    """Plays each part by what it is asked for, and keeps what it was asked.

    Args:
        cells: What the root writes, in order.
        check: Replies of the check, or what makes one.
        reader: Makes a reader's reply from the turns and the question.
        observer: Makes the observer's reply from the turns and the log.
        extract: What is drawn up where the root submits nothing.
    """

    def __init__(
        self,
        *cells: str,
        check: str | BaseException | Callable[[str], Reply] = YES,
        reader: Callable[[list[dict[str, Any]], str], Reply] | None = None,
        observer: Callable[[list[dict[str, Any]], list[dict[str, Any]]], Reply] | None = None,
        extract: str = "Nothing to say.",
    ) -> None:
        self._cells = iter(cells)
        self._check, self._reader, self._observer, self._extract = check, reader, observer, extract
        self._lock = threading.Lock()
        self.asked: list[tuple[str, str]] = []
        self.lm = ScriptedLM(self._reply)

    def prompts(self, part: str) -> list[str]:
        """What a part was asked, its last messages."""
        return [text for name, text in self.asked if name == part]

    def _reply(self, request: Request) -> Reply:
        system, text = texts(request)[0][1], texts(request)[-1][1]
        part = _part(system)
        with self._lock:
            self.asked.append((part, text))
            if part == "root":
                return turn(next(self._cells))
        if part == "extract":
            return self._extract
        if part == "check":
            return self._check(text) if callable(self._check) else self._check
        turns = list(rows(text, "session"))
        if part == "reader":
            assert self._reader is not None
            return self._reader(turns, section(text, "question"))
        assert self._observer is not None
        return self._observer(turns, list(rows(text, "log")))


def _part(system: str) -> str:
    marks = {"`later`": "check", "`log`": "observer", "`session`": "reader", _EXTRACT: "extract"}
    return next((part for mark, part in marks.items() if mark in system), "root")


def section(text: str, name: str) -> str:
    """A field of a prompt."""
    return text.split(f"[[ ## {name} ## ]]\n", 1)[1].split("\n\n[[ ## ", 1)[0].split("\n\nRespond with", 1)[0].strip()


def rows(text: str, name: str) -> Iterable[dict[str, Any]]:
    """The JSON lines of a field of a prompt."""
    return (json.loads(line) for line in section(text, name).splitlines() if line.strip())


def noticed(*found: dict[str, Any]) -> str:
    """An observer's reply."""
    return fields(observations=json.dumps(list(found)))
