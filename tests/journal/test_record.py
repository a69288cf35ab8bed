"""The journal in memory: order, listeners, and a store that may fail without ending the run."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from rlm_module.events import AnyEvent
from rlm_module.journal import Journal
from tests.journal.samples import acted, small_run, started


class MemoryStore:
    def __init__(self, fails_at: int | None = None) -> None:
        self.events: list[AnyEvent] = []
        self.closed = 0
        self._fails_at = fails_at

    def write(self, event: AnyEvent) -> None:
        if self._fails_at == len(self.events):
            raise RuntimeError("a fault of the store's own")
        self.events.append(event)

    def store_input(self, value: Any) -> str | None:
        return None

    def close(self) -> None:
        self.closed += 1


def test_an_event_is_stored_before_anybody_hears_of_it() -> None:
    store = MemoryStore()
    stored: list[int] = []
    journal = Journal("r1", listeners=(lambda _: stored.append(len(store.events)),), store=store)
    for event in small_run():
        journal.record(event)
    assert stored == list(range(1, len(small_run()) + 1))
    assert tuple(store.events) == journal.events == small_run()


def test_what_happened_earlier_is_neither_stored_nor_told_again() -> None:
    store, heard = MemoryStore(), list[AnyEvent]()
    journal = Journal("r1", listeners=(heard.append,), store=store, earlier=[started()])
    journal.record(acted())
    assert journal.events == (started(), acted())
    assert store.events == heard == [acted()]


def test_a_store_that_raises_is_given_up_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(fails_at=1)
    journal = Journal("r1", store=store)
    for event in small_run():
        journal.record(event)
    journal.close()
    assert journal.events == small_run()
    assert len(store.events) == 1
    assert store.closed == 1
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


def test_closing_closes_the_store_once_and_memory_goes_on() -> None:
    store = MemoryStore()
    journal = Journal("r1", store=store)
    journal.close()
    journal.close()
    journal.record(started())
    assert (store.closed, store.events, journal.events) == (1, [], (started(),))


def test_memory_and_store_agree_on_the_order() -> None:
    store = MemoryStore()
    journal = Journal("r1", store=store)
    threads = [
        threading.Thread(target=lambda n=n: [journal.record(acted(turn)) for turn in range(n, 400, 4)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tuple(store.events) == journal.events
    assert len(store.events) == 400
