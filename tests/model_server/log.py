"""What a server got, kept for tests to look at and to wait for."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.model_server.outcomes import Json


@dataclass(frozen=True)
class Record:
    """One request. Times are of `time.monotonic`, in seconds; `ended` is None while it is in flight."""

    body: Json
    attempt: int
    arrived: float
    ended: float | None = None
    client_left: bool = False


@dataclass(frozen=True)
class Log:
    """All requests by their arrival, with the number in flight now and the highest ever."""

    requests: tuple[Record, ...]
    in_flight: int
    peak_in_flight: int


class Recorder:
    """Written by the server's thread, read by any."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._records: list[Record] = []
        self._attempts: Counter[str] = Counter()
        self._in_flight = 0
        self._peak = 0

    def arrive(self, body: Json) -> int:
        """Note a request; returns the number by which `end` knows it."""
        identity = json.dumps(body, sort_keys=True)
        with self._changed:
            self._attempts[identity] += 1
            self._records.append(Record(body, self._attempts[identity], time.monotonic()))
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)
            self._changed.notify_all()
            return len(self._records) - 1

    def end(self, number: int, *, client_left: bool = False) -> None:
        """Note that a request is over; a second call is without effect."""
        with self._changed:
            record = self._records[number]
            if record.ended is None:
                self._records[number] = replace(record, ended=time.monotonic(), client_left=client_left)
                self._in_flight -= 1
                self._changed.notify_all()

    def record(self, number: int) -> Record:
        with self._changed:
            return self._records[number]

    def log(self) -> Log:
        with self._changed:
            return self._log()

    def wait_until(self, holds: Callable[[Log], bool], timeout: float) -> Log:
        with self._changed:
            if not self._changed.wait_for(lambda: holds(self._log()), timeout):
                raise TimeoutError(f"not within {timeout:g} s; the log is {self._log()}")
            return self._log()

    def _log(self) -> Log:
        return Log(tuple(self._records), self._in_flight, self._peak)
