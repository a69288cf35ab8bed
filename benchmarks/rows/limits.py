"""What a run does to the process it is part of: its memory, its event loop, and its Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from itertools import pairwise
from pathlib import Path
from typing import Any

import dspy

from benchmarks import processes
from benchmarks.dspy_side import DspySide
from benchmarks.measure import Limit, Measure, Row, times_theirs
from benchmarks.scripted import root_lm
from rlm_module import RLM, Sandbox

_IDLE_SECONDS, _TICK_SECONDS, _SPIN_SECONDS = 1.0, 0.010, 1.0
_GIVE_UP_SECONDS, _CHILD_SECONDS = 10.0, 300.0
_ROOT = Path(__file__).resolve().parents[2]

MEMORY = Row("memory", "resident memory of an idle sandbox", "MiB", times_theirs(1.25))
STALL = Row(
    "stall",
    "longest stall of the event loop while a cell spins under acall",
    "ms",
    Limit(1, 0.050, "≤ 50 ms"),
    figure="worst",
)
_PROMPTLY = Limit(1, 2.0, "≤ 2 s")
CTRL_C = Row("ctrl-c", "Ctrl-C to return, while a cell spins", "s", _PROMPTLY, "worst", _GIVE_UP_SECONDS)
SIGINT = Row("sigint", "the same, where only the host gets the signal", "s", _PROMPTLY, "worst", _GIVE_UP_SECONDS)
HOST = Row("host-memory", "peak host memory while loading 100 MB", "MB", Limit(3, 100e6, "≤ 3 × the input"))

_SPIN = "while True: pass"
_BOUNDED_SPIN = f"import time\nend = time.time() + {_SPIN_SECONDS}\nwhile time.time() < end: pass"
_SUBMIT = "SUBMIT(answer='done')"


def measures(side: DspySide) -> tuple[Measure, ...]:
    return (
        Measure((MEMORY,), _our_memory, lambda: _their_memory(side)),
        Measure((STALL,), _our_stall, lambda: _their_stall(side)),
        Measure((CTRL_C, SIGINT), _interrupts, lambda: _interrupts(side)),
        Measure((HOST,), lambda: (_load(),), lambda: (_load(side),)),
    )


def _our_memory() -> tuple[float]:
    with Sandbox() as sandbox:
        sandbox.execute("print(1)")
        time.sleep(_IDLE_SECONDS)
        pid = sandbox.session.pid
        if pid is None:
            raise RuntimeError("the sandbox has no process")
        return (processes.resident(pid),)


def _their_memory(side: DspySide) -> tuple[float]:
    with side.interpreter() as interpreter:
        interpreter.execute("print(1)")
        time.sleep(_IDLE_SECONDS)
        process: Any = interpreter.deno_process
        return (processes.resident(process.pid),)


def _our_stall() -> tuple[float]:
    return _stall(RLM("task -> answer", interpreter_factory=lambda: Sandbox(cell_seconds=_SPIN_SECONDS)), _SPIN)


def _their_stall(side: DspySide) -> tuple[float]:
    """dspy.RLM never ends a cell, so this one ends itself."""
    return _stall(dspy.RLM("task -> answer", interpreter_factory=side.interpreter), _BOUNDED_SPIN)


def _stall(rlm: Any, spin: str) -> tuple[float]:
    """The longest that a ticker on the loop was kept waiting beyond its interval, from the call to its answer."""

    async def run() -> float:
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                ticks.append(time.perf_counter())
                await asyncio.sleep(_TICK_SECONDS)

        ticker = asyncio.create_task(tick())
        await asyncio.sleep(5 * _TICK_SECONDS)
        answer = (await rlm.acall(task="Spin.")).answer
        await asyncio.sleep(5 * _TICK_SECONDS)
        ticker.cancel()
        if answer != "done":
            raise RuntimeError(f"the run answered {answer!r}")
        return max(later - earlier for earlier, later in pairwise(ticks)) - _TICK_SECONDS

    with dspy.context(lm=root_lm([spin, _SUBMIT])):
        return (asyncio.run(run()),)


def _interrupts(side: DspySide | None = None) -> tuple[float, float]:
    """A SIGINT to the whole process group, as from a terminal, and to the host alone, as from a notebook: each time
    in an interpreter's `execute` and in a whole run, of which the slower counts.
    """
    to_group, to_host = (
        max(_interrupt(way, send, side) for way in ("interpreter", "rlm")) for send in (os.killpg, os.kill)
    )
    return to_group, to_host


def _interrupt(way: str, send: Callable[[int, int], None], side: DspySide | None) -> float:
    """Seconds from the signal to when the program and all that it started are gone, or the time of giving up."""
    with _child("spin", way, side) as child:
        if child.stdout is None or child.stdout.readline().strip() != "spinning":
            raise RuntimeError("the child process did not start its cell")
        time.sleep(0.3)
        started = processes.descendants(child.pid)
        if not started:
            raise RuntimeError("the child process has no sandbox")
        began = time.perf_counter()
        send(child.pid, signal.SIGINT)
        while child.poll() is None or any(map(processes.alive, started)):
            if time.perf_counter() - began > _GIVE_UP_SECONDS:
                processes.kill(started)
                return _GIVE_UP_SECONDS
            time.sleep(0.005)
        return time.perf_counter() - began


def _load(side: DspySide | None = None) -> float:
    """Bytes by which a process that loads an input outgrows what it was before the input was made."""
    with _child("load", "interpreter", side) as child:
        output, _ = child.communicate(timeout=_CHILD_SECONDS)
    return float(output)


@contextlib.contextmanager
def _child(task: str, way: str, side: DspySide | None) -> Generator[subprocess.Popen[str]]:
    """A program of `benchmarks/child.py`, in a process group of its own; nothing of it is left afterwards."""
    command = "ours" if side is None else json.dumps(side.command)
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child", task, way, command],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with child:
        try:
            yield child
        finally:
            processes.kill({child.pid, *processes.descendants(child.pid)} if child.poll() is None else set())
