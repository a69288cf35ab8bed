"""What was paid for in a compile, in memory and as JSON lines in a folder, so that nothing is paid for twice."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlm_module.optimizers.evolution.cases import digest

logger = logging.getLogger(__name__)


class Lines:
    """An append-only file of JSON objects that only its owner may read, safe to use from several threads.

    A line that a crash tore is cut off when it is opened; one that is broken in the middle is left out.

    Args:
        path: The file; None to keep nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.found: list[dict[str, Any]] = []
        if path is not None and path.exists():
            self.found = _read(path)

    def add(self, line: Mapping[str, Any]) -> None:
        """Appends an object."""
        if self._path is None:
            return
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, data)
            finally:
                os.close(handle)


def _read(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    found: list[dict[str, Any]] = []
    for line in whole.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            logger.warning("A line of %s cannot be read; what it told is paid for again.", path.name)
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


class Evaluations:
    """Program runs by candidate and example. One that the program failed is made anew by the next compile: whether the
    candidate was at fault or an outage, nobody can tell.

    Args:
        path: The file that keeps them; None for memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lines = Lines(path)
        self._known: dict[tuple[str, str], Mapping[str, Any]] = {}
        lost: list[Mapping[str, Any]] = []
        for line in self._lines.found:
            if _is_of_use(line):
                self._known[str(line["candidate"]), str(line["example"])] = line["rollout"]
            else:
                lost.append(line)
        self.cost_usd = _total(self._lines.found)
        """What all that was found on disk cost, as far as it is known."""
        self.lost_usd = _total(lost)
        """The part of it that bought nothing, such as runs that an outage ended."""

    def find(self, candidate: str, example: str) -> Mapping[str, Any] | None:
        """A run as JSON, if it was made before."""
        return self._known.get((candidate, example))

    def add(self, candidate: str, example: str, rollout: Mapping[str, Any]) -> None:
        """Keeps a run."""
        self._known[candidate, example] = rollout
        cost = rollout.get("cost_usd")
        self._lines.add({"candidate": candidate, "example": example, "cost_usd": cost, "rollout": rollout})

    def add_cost(self, cost_usd: float | None) -> None:
        """Keeps what a run cost that ended for want of money, and so says nothing of its candidate."""
        self._lines.add({"cost_usd": cost_usd})


class Reflections:
    """Replies of the reflection model by request; the second reply to the same request is another one.

    Args:
        path: The file that keeps them; None for memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lines = Lines(path)
        self._known: dict[tuple[str, int], tuple[str, float | None]] = {
            (str(line["request"]), int(line["occurrence"])): (str(line["reply"]), line.get("cost_usd"))
            for line in self._lines.found
            if {"request", "occurrence", "reply"} <= line.keys()
        }
        self._asked: Counter[str] = Counter()
        self.cost_usd = _total(self._lines.found)
        """What all that was found on disk cost, as far as it is known."""
        self.lost_usd = _total([line for line in self._lines.found if "reply" not in line])
        """The part of it that calls cost which failed."""

    def find(self, request: str) -> tuple[str, float | None] | None:
        """The reply to a request and its cost, if it was made before as often as now."""
        return self._known.get((digest(request), self._asked[digest(request)]))

    def asked(self, request: str) -> int:
        """How often a request was answered up to now."""
        return self._asked[digest(request)]

    def took(self, request: str) -> None:
        """A reply that was found has been used."""
        self._asked[digest(request)] += 1

    def add(self, request: str, reply: str, cost_usd: float | None) -> None:
        """Keeps a reply."""
        key = digest(request)
        line = {"request": key, "occurrence": self._asked[key], "reply": reply, "cost_usd": cost_usd}
        self._lines.add(line)
        self._asked[key] += 1

    def add_cost(self, cost_usd: float | None) -> None:
        """Keeps what a call cost that failed, and so is to be made again."""
        self._lines.add({"cost_usd": cost_usd})


def _is_of_use(line: Mapping[str, Any]) -> bool:
    """Whether it is a run that tells something of its candidate."""
    rollout = line.get("rollout")
    return {"candidate", "example"} <= line.keys() and isinstance(rollout, dict) and rollout.get("failed") != "program"


def _total(lines: Sequence[Mapping[str, Any]]) -> float:
    return sum(cost for line in lines if isinstance(cost := line.get("cost_usd"), int | float))
