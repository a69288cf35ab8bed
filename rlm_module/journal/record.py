"""The record of a run in memory: its events, in order, who listens to them as they happen, and what stores them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from rlm_module.events import AnyEvent

logger = logging.getLogger(__name__)

Listener: TypeAlias = Callable[[AnyEvent], None]


class Store(Protocol):
    """Keeps the events of one run beyond the process. It belongs to the journal that it is given to, which closes it.

    A store that can keep nothing any more says so once and then does nothing: no fault of a disk ends a run.
    """

    def write(self, event: AnyEvent) -> None:
        """Keeps an event; called with one event at a time, from any thread, and maybe after `close`."""
        ...

    def store_input(self, value: Any) -> str | None:
        """Keeps an input of the run; returns what finds it again, None where it cannot be kept."""
        ...

    def close(self) -> None:
        """Returns once all that was written is safe; may be called twice."""
        ...


class Journal:
    """Takes in the events of one run, from any thread.

    Args:
        run_id: The run's.
        path: Where the run's RLM stands in the program that called it, such as `self.answer`; `self` if it is itself.
        listeners: Called with each event on the thread that records it, one event at a time. What they raise is
            logged, as a display must not end a run.
        store: Keeps each event before the listeners hear of it.
        open_store: Makes the store of a new run, once that is known to begin.
        earlier: What happened before, in a run that is resumed; neither stored nor told again.
    """

    def __init__(
        self,
        run_id: str,
        path: str = "self",
        listeners: tuple[Listener, ...] = (),
        store: Store | None = None,
        open_store: Callable[[], Store] | None = None,
        earlier: Iterable[AnyEvent] = (),
    ) -> None:
        self.run_id = run_id
        self.path = path
        self._listeners = listeners
        self._store = store
        self._open_store = open_store
        self._events: list[AnyEvent] = list(earlier)
        self._lock = threading.RLock()

    @property
    def events(self) -> tuple[AnyEvent, ...]:
        """What has happened up to now."""
        with self._lock:
            return tuple(self._events)

    def open(self) -> None:
        """Makes the store; to be called before the first event of a new run, and where a disk may be waited for."""
        if self._store is None and self._open_store is not None:
            self._store = self._open_store()

    @property
    def is_stored(self) -> bool:
        """Whether events are kept beyond the process, from which the run can be resumed."""
        return self._store is not None

    def store_inputs(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """Keeps the run's inputs with its events; returns the hash of each that could be kept."""
        store = self._store
        hashes = {name: store.store_input(value) for name, value in inputs.items()} if store is not None else {}
        return {name: found for name, found in hashes.items() if found is not None}

    def record(self, event: AnyEvent) -> None:
        """Adds an event, stores it and tells the listeners."""
        with self._lock:
            self._events.append(event)
            self._keep(event)
            for listener in self._listeners:
                try:
                    listener(event)
                except Exception:
                    logger.exception("A listener failed on %s.", event.tag)

    def close(self) -> None:
        """Closes the store; what is recorded from now on is kept in memory only."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None:
            store.close()

    def _keep(self, event: AnyEvent) -> None:
        if self._store is None:
            return
        try:
            self._store.write(event)
        except Exception:
            store, self._store = self._store, None
            logger.exception("The store failed on %s; the run goes on and is kept in memory only.", event.tag)
            try:
                store.close()
            except Exception:
                logger.exception("The store that failed could not be closed either.")
