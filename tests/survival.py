"""A run of thirty paid LM calls that is killed at a chosen point and then goes on, each part in a process of its own.

The processes are forked from one that has imported everything, since dspy takes seconds to import.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import random
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Literal, TypeAlias

import dspy

from rlm_module import RLM, capture_runs
from rlm_module.events import Acted, AnyEvent, CallFinished
from rlm_module.journal import read_run
from tests.model_server import ModelServer, Outcome, Reply, Request, Stall
from tests.model_server.engines import lm

PAID_CALLS = 30
"""Four turns of the root, twelve sub-calls of it, and two children with two turns and five sub-calls each."""
Kind: TypeAlias = Literal["request", "reply", "event"]
CONCURRENCY = 8
_SECONDS = 60.0
_LATENCY = 0.004

_ROOT = (
    "import random\nfound = [llm_query(f'single {n}, {random.random():.6f}') for n in range(6)]\nprint(found)",
    "noted = note(text='twice two')\n"
    "found += llm_query_batched([f'item {n} of {noted}, {random.random():.6f}' for n in range(6)])\nprint(len(found))",
    "found += rlm_query_batched(['first half', 'second half'], [found[:6], found[6:]])\nprint(found[-1])",
    "SUBMIT(answer=' | '.join([*found, noted]))",
)
_CHILD = (
    "mine = [llm_query(f'{query} {n} of {len(context)}') for n in range(2)]\n"
    "mine += llm_query_batched([f'{query}, item {n}' for n in range(3)])",
    "SUBMIT(answer=' + '.join(mine))",
)


@dataclass(frozen=True, slots=True)
class Point:
    """When the run is killed: as its nth request arrives, once its nth reply is out, or as its nth event is stored."""

    kind: Kind
    at: int


@dataclass(frozen=True, slots=True)
class Survived:
    """What came of a run that was killed and resumed.

    Args:
        point: Where it was killed.
        answer: Its answer; None where it had one before it could be killed.
        requests: LM calls of both parts together.
        twice: How many of them an undisturbed run does not make.
        in_flight: How many had begun, and had not ended on record, when the run was killed.
        notes: How often the tool ran.
    """

    point: Point
    answer: str | None
    requests: int
    twice: int
    in_flight: int
    notes: int


def points(count: int, seed: int = 14) -> list[Point]:
    """Random points, of each kind in turn."""
    chosen = random.Random(seed)
    kinds: tuple[tuple[Kind, int], ...] = (("request", PAID_CALLS), ("reply", PAID_CALLS), ("event", 100))
    return [Point(kind, chosen.randint(1, last)) for kind, last in itertools.islice(itertools.cycle(kinds), count)]


class Provider:
    """Plays root, children and sub-LMs, and kills its client with the nth request."""

    def __init__(self, point: Point | None = None) -> None:
        self.victim: int | None = None
        self._arrived = 0
        self._kills_at = point.at if point is not None and point.kind == "request" else None

    def __call__(self, request: Request) -> Outcome:
        self._arrived += 1
        if self._arrived == self._kills_at and self.victim is not None:
            os.kill(self.victim, signal.SIGKILL)
            return Stall()
        return Reply(_reply(request.body["messages"]), latency=_LATENCY)


def undisturbed(folder: Path) -> Survived:
    """What a run comes to that nobody kills."""
    return survive(Point("event", 1_000_000), folder)


def survive(point: Point, folder: Path) -> Survived:
    """Kills a run at a point and resumes it.

    Args:
        point: Where to kill it; a run that ends before is not resumed.
        folder: A new folder for its journal.
    """
    folder.mkdir()
    provider = Provider(point)
    with ModelServer(provider) as server:
        first = _Part(server.url, folder, point)
        provider.victim = first.process.pid
        if point.kind == "reply":
            server.wait_until(lambda log: len(log.requests) - log.in_flight >= point.at)
            first.process.kill()
        answer = first.answer()
        before, held = server.log(), _held(folder)
        if answer is None:
            answer = _Part(server.url, folder, None).answer()
        requests = len(server.log().requests)
    return Survived(
        point,
        answer,
        requests=requests,
        twice=requests - PAID_CALLS,
        in_flight=len(before.requests) - held,
        notes=len((folder / "notes").read_text().splitlines()),
    )


class _Part:
    """A process that starts the run of a journal, or, without a point to kill it at, goes on with it."""

    def __init__(self, url: str, folder: Path, point: Point | None) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._ours, theirs = context.Pipe(duplex=False)
        self.process: ForkServerProcess = context.Process(target=_part, args=(url, folder, point, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def answer(self) -> str | None:
        """What the run answered; None if the process was killed before."""
        try:
            if not self._ours.poll(_SECONDS):
                self.process.kill()
                raise TimeoutError(f"no answer within {_SECONDS:g} s")
            told: str | None = self._ours.recv()
        except EOFError:
            told = None
        self.process.join()
        if told is None and self.process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"a part of the run ended with exit status {self.process.exitcode}")
        return told


def _part(url: str, folder: Path, point: Point | None, told: Connection) -> None:
    logging.disable(logging.CRITICAL)
    events = itertools.count(1)

    def count(_: AnyEvent) -> None:
        if point is not None and point.kind == "event" and next(events) == point.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(text: str) -> str:
        """Notes a text."""
        with (folder / "notes").open("a") as notes:
            notes.write(f"{text}\n")
        return f"noted {text}"

    rlm = RLM("context -> answer", tools=[note], max_depth=2, concurrency=CONCURRENCY, journal=folder / "runs")
    with dspy.context(lm=lm(At(url))), capture_runs(on_event=count):
        run: Any = rlm(context="A text.") if point is not None else rlm.resume(*(folder / "runs").iterdir())
    told.send(str(run.answer))


@dataclass
class At:
    """A server in another process."""

    url: str


def _reply(messages: list[dict[str, Any]]) -> str:
    """What the model says; a sub-LM answers with the words of its prompt, not with the numbers that chance gave it."""
    if len(messages) == 1:
        return f"re {re.sub(r', [0-9.]{5,}', '', messages[0]['content'])}"
    turn = sum(message["role"] == "assistant" for message in messages)
    is_child = "half" in messages[1]["content"]
    code = (_CHILD if is_child else _ROOT)[turn]
    return f"[[ ## reasoning ## ]]\nGo on.\n\n[[ ## code ## ]]\n```python\n{code}\n```\n\n[[ ## completed ## ]]"


def _held(folder: Path) -> int:
    """How many paid calls ended on record."""
    runs = list((folder / "runs").iterdir())
    events: Iterable[AnyEvent] = read_run(runs[0]) if runs else ()
    return sum(
        isinstance(event, Acted)
        or (isinstance(event, CallFinished) and event.function == "llm_query" and event.answer is not None)
        for event in events
    )
