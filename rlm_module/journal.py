"""The record of a run in memory: its events, in order, and who listens to them as they happen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeAlias

from rlm_module.events import AnyEvent

logger = logging.getLogger(__name__)

Listener: TypeAlias = Callable[[AnyEvent], None]


class Journal:
    """Takes in the events of one run, from any thread.

    Args:
        run_id: The run's.
        path: Where the run's RLM stands in the program that called it, such as `self.answer`; `self` if it is itself.
        listeners: Called with each event on the thread that records it, one event at a time. What they raise is
            logged, as a display must not end a run.
    """

    def __init__(self, run_id: str, path: str = "self", listeners: tuple[Listener, ...] = ()) -> None:
        self.run_id = run_id
        self.path = path
        self._listeners = listeners
        self._events: list[AnyEvent] = []
        self._lock = threading.RLock()

    @property
    def events(self) -> tuple[AnyEvent, ...]:
        """What has happened up to now."""
        with self._lock:
            return tuple(self._events)

    def record(self, event: AnyEvent) -> None:
        """Adds an event and tells the listeners."""
        with self._lock:
            self._events.append(event)
            for listener in self._listeners:
                try:
                    listener(event)
                except Exception:
                    logger.exception("A listener failed on %s.", event.tag)
