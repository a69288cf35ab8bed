"""A run with many calls in flight that is left: `python -m benchmarks.leaving WAY URL`, a process of its own.

WAY is `sigint` (the run is interrupted by whoever started this), `cancel` (a line on standard input cancels `acall`),
or `deadline` and `deadline-silent` (its time is over; the answer is drawn up at once, or the LM is silent then, too).
What it printed last is how many seconds it took from there to the run's return.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from dataclasses import dataclass

import dspy

from benchmarks.fanout_model import IN_FLIGHT
from rlm_module import RLM, Budget
from rlm_module.errors import FatalError
from tests.model_server.engines import lm

SECONDS = 10.0


@dataclass
class At:
    """A server in another process."""

    url: str


def interrupted(rlm: RLM) -> None:
    """Returns only where the signal got here; the time is taken by whoever sent it."""
    with contextlib.suppress(KeyboardInterrupt):
        rlm(query="PROGRAM hang")
        raise RuntimeError("the run was not interrupted")


async def cancelled(rlm: RLM) -> float:
    run = asyncio.create_task(rlm.acall(query="PROGRAM hang"))
    waiting = asyncio.to_thread(sys.stdin.readline)
    await waiting
    began = time.perf_counter()
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await run
        raise RuntimeError("the run was not cancelled")
    return time.perf_counter() - began


def out_of_time(rlm: RLM, *, silent: bool) -> float:
    """From when work has to stop, or, where the LM is silent even then, from when all has to."""
    rlm.budget = Budget(seconds=SECONDS)
    due = SECONDS if silent else SECONDS - rlm.budget.extract_seconds
    began = time.perf_counter()
    try:
        reason = rlm(query=f"PROGRAM hang{'!' if silent else ''}").termination_reason
    except FatalError:
        reason = "fatal"
    took = time.perf_counter() - began
    if reason != ("fatal" if silent else "budget:seconds") or took < due:
        raise RuntimeError(f"the run ended after {took:.1f} s with {reason}")
    return took - due


def main(way: str, url: str) -> None:
    logging.disable(logging.CRITICAL)
    rlm = RLM("query -> answer", concurrency=IN_FLIGHT)
    with dspy.context(lm=lm(At(url))):
        match way:
            case "sigint":
                interrupted(rlm)
                print(0.0, flush=True)
            case "cancel":
                print(asyncio.run(cancelled(rlm)), flush=True)
            case _:
                print(out_of_time(rlm, silent=way == "deadline-silent"), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
