"""What a call from the sandbox to the host costs: one at a time, and many at once."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import dspy

from benchmarks.dspy_side import DspySide
from benchmarks.measure import Limit, Measure, Row, times_theirs
from benchmarks.scripted import root_lm, slow_lm
from rlm_module import RLM, Sandbox

_SEQUENTIAL, _AT_ONCE, _CONCURRENCY, _CALL_SECONDS = 300, 200, 64, 0.2
_IDEAL = Limit(1.3, 0.8, "≤ 1.3 × the ideal 0.8 s")

ONE = Row("host-call", "one host call, sequential, median of 300", "ms", times_theirs(1.5), figure="best")
GATHERED = Row("host-calls", "200 host calls of 200 ms at concurrency 64: tool, awaited", "s", _IDEAL)
BATCHED = Row("llm-calls", "200 host calls of 200 ms at concurrency 64: llm_query_batched", "s", _IDEAL)

_SEQUENTIAL_CELL = f"for i in range({_SEQUENTIAL + 1}):\n    echo(x=i)"
_GATHER_CELL = f"""
import asyncio
free = asyncio.Semaphore({_CONCURRENCY})
async def one(i):
    async with free:
        return await wait.aio(i)
print(sum(await asyncio.gather(*[one(i) for i in range({_AT_ONCE})])))
"""
_LOOP_CELL = f"print(sum(wait(i=i) for i in range({_AT_ONCE})))"
_BATCH_CELL = f"""
lap()
answers = llm_query_batched([f"question {{i}}" for i in range({_AT_ONCE})])
lap()
SUBMIT(answer=str(answers.count("ok")))
"""


def measures(side: DspySide) -> tuple[Measure, ...]:
    return (
        Measure((ONE,), lambda: _one(Sandbox()), lambda: _one(side.interpreter())),
        Measure((GATHERED,), lambda: _many(Sandbox(), _GATHER_CELL), lambda: _many(side.interpreter(), _LOOP_CELL)),
        Measure((BATCHED,), _our_batch, lambda: _their_batch(side)),
    )


def _one(interpreter: Any) -> tuple[float]:
    """The median time from one call's arrival at the host to the next one's, which is a whole call, by one clock."""
    arrivals: list[float] = []

    def echo(x: int) -> int:
        arrivals.append(time.perf_counter())
        return x

    interpreter.tools["echo"] = echo
    with interpreter:
        interpreter.execute(_SEQUENTIAL_CELL)
    if len(arrivals) != _SEQUENTIAL + 1:
        raise RuntimeError(f"{len(arrivals)} calls arrived instead of {_SEQUENTIAL + 1}")
    return (statistics.median(later - earlier for earlier, later in pairwise(arrivals)),)


def _many(interpreter: Any, code: str) -> tuple[float]:
    """Calls an async tool; dspy has no way of calling one tool while it waits for another."""

    async def wait(i: int) -> int:
        await asyncio.sleep(_CALL_SECONDS)
        return i

    interpreter.tools["wait"] = wait
    with interpreter:
        interpreter.execute("print(1)")
        began = time.perf_counter()
        result = interpreter.execute(code)
        seconds = time.perf_counter() - began
    if str(result).strip() != str(sum(range(_AT_ONCE))):
        raise RuntimeError(f"the calls returned {str(result)[:200]!r}")
    return (seconds,)


def _our_batch() -> tuple[float]:
    return _batch(lambda **options: RLM("task -> answer", concurrency=_CONCURRENCY, **options))


def _their_batch(side: DspySide) -> tuple[float]:
    """dspy.RLM makes eight sub-calls at once, and has no option for more."""
    return _batch(lambda **options: dspy.RLM("task -> answer", interpreter_factory=side.interpreter, **options))


def _batch(make: Callable[..., Any]) -> tuple[float]:
    laps: list[float] = []

    def lap() -> None:
        laps.append(time.perf_counter())

    rlm = make(tools=[lap], sub_lm=slow_lm(_CALL_SECONDS), max_llm_calls=_AT_ONCE)
    with dspy.context(lm=root_lm([_BATCH_CELL])):
        answer = rlm(task="Ask.").answer
    if answer != str(_AT_ONCE):
        raise RuntimeError(f"{answer} of {_AT_ONCE} calls were answered")
    return (laps[1] - laps[0],)
