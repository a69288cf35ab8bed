"""How long a run with many calls in flight takes to return when it is interrupted, cancelled, or out of time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmarks import processes
from benchmarks.fanout_model import IN_FLIGHT
from benchmarks.measure import Limit, Measure, Row
from tests.model_server import Log

_ROOT = Path(__file__).resolve().parents[2]
_GIVE_UP_SECONDS, _START_SECONDS, _POLL_SECONDS = 60.0, 60.0, 0.01
_PROMPTLY = Limit(1, 2.0, "≤ 2 s")
WAYS = {
    "sigint": "Ctrl-C to return and exit",
    "cancel": "cancelling acall to return",
    "deadline": "end of the time for work to an answer",
    "deadline-silent": "end of all time to return, the LM silent to the last",
}
ROWS = {
    way: Row(way, f"{title}, {IN_FLIGHT} calls in flight", "s", _PROMPTLY, "worst", _GIVE_UP_SECONDS)
    for way, title in WAYS.items()
}


class Server(Protocol):
    url: str

    def log(self) -> Log: ...


def measures(server: Server) -> tuple[Measure, ...]:
    def left(way: str) -> Callable[[], tuple[float]]:
        return lambda: (_leave(way, server),)

    return tuple(Measure((row,), left(way), lambda: (_PROMPTLY.factor * 2.0,)) for way, row in ROWS.items())


def _leave(way: str, server: Server) -> float:
    """Seconds from the reason to leave until the run has returned; RuntimeError if a process is left of it."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.leaving", way, server.url],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            _wait(lambda: _hanging(server) == IN_FLIGHT, _START_SECONDS, f"{IN_FLIGHT} calls in flight")
            started = processes.descendants(child.pid)
            if not started:
                raise RuntimeError("the run has no sandbox")
            began = time.perf_counter()
            if way == "sigint":
                os.kill(child.pid, signal.SIGINT)
            elif way == "cancel":
                child.stdin.write("now\n")
                child.stdin.flush()
            told = child.stdout.readline()
            child.wait(_GIVE_UP_SECONDS)
            took = time.perf_counter() - began if way == "sigint" else float(told)
            if left := [pid for pid in started if processes.alive(pid)]:
                processes.kill(set(left))
                raise RuntimeError(f"{len(left)} processes of the run are left")
            _wait(lambda: not _hanging(server), _START_SECONDS, "no call in flight any more")
            return took
        finally:
            if child.poll() is None:
                processes.kill({child.pid, *processes.descendants(child.pid)})


def _hanging(server: Server) -> int:
    return server.log().in_flight


def _wait(holds: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.perf_counter() + seconds
    while not holds():
        if time.perf_counter() > end:
            raise RuntimeError(f"there were not {what} within {seconds:g} s")
        time.sleep(_POLL_SECONDS)
