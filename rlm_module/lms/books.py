"""What the accounts of a run tree keep between calls: what was spent, what was recorded, and which calls are twins."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from rlm_module.events import Role, Usage


class Spending:
    """What something has used of LMs, with all that it started.

    Args:
        parent: What it is a part of.
    """

    def __init__(self, parent: Spending | None = None) -> None:
        self._parent = parent
        self._usage = Usage()
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        with self._lock:
            return self._usage

    def add(self, usage: Usage) -> None:
        """Adds to it, and to what it is a part of."""
        with self._lock:
            self._usage += usage
        if self._parent is not None:
            self._parent.add(usage)

    def recall(self, usage: Usage) -> None:
        """Adds what an earlier part of the run has used: to it alone, since what it is a part of knows."""
        with self._lock:
            self._usage += usage


class Conversations:
    """What of each conversation has been recorded, since a turn's request goes on from the one before."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, Role], tuple[Mapping[str, Any], ...]] = {}
        self._lock = threading.Lock()

    def news(
        self, node: int, role: Role, messages: tuple[Mapping[str, Any], ...]
    ) -> tuple[int, tuple[Mapping[str, Any], ...]]:
        """How many leading messages are those of the call before, and the messages after them."""
        if role not in ("root", "child"):
            return 0, messages
        with self._lock:
            last = self._last.get((node, role), ())
            self._last[node, role] = messages
        pairs = enumerate(zip(last, messages, strict=False))
        shared = next((n for n, (one, other) in pairs if one != other), min(len(last), len(messages)))
        return shared, messages[shared:]


class Twins:
    """Identical calls in flight: where the LM's cache will answer the second one, it waits for the first."""

    def __init__(self) -> None:
        self._in_flight: dict[Any, Future[None]] = {}
        self._lock = threading.Lock()

    def join(self, key: Any) -> Future[None] | None:
        """The twin to wait for; None if there is none, and this call is one for others from now on."""
        with self._lock:
            twin = self._in_flight.get(key)
            if twin is None:
                self._in_flight[key] = Future()
            return twin

    def leave(self, key: Any) -> None:
        """The call is over."""
        with self._lock:
            done = self._in_flight.pop(key)
        done.set_result(None)
