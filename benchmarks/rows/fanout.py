"""Many LM calls at once, over real sockets: what plain loops, trees of RLMs and getting out of them cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import dspy

from benchmarks.dspy_side import DspySide
from benchmarks.fanout_model import BRANCHES, CALL_SECONDS, CALLS, CHAINED, DEPTH, IN_FLIGHT, critical_path
from benchmarks.measure import SHOWN, Limit, Measure, Row
from rlm_module import RLM
from tests.model_server.engines import ENGINES, Engine, HasUrl, lm

_TREE_CONCURRENCY = 64
_AS_BATCH = Limit(1.25, None, "≤ 1.25 × the batch")
LOOPS: dict[Engine, Row] = {
    engine: Row(
        f"loop-{engine}",
        f"{CALLS} sub-calls of {CALL_SECONDS * 1000:g} ms in a comprehension, concurrency {IN_FLIGHT}, {engine}; batch",
        "s",
        _AS_BATCH,
    )
    for engine in ENGINES
}
CHAIN = Row("chain", f"{CHAINED} of them, each from the answer before; ideal", "s", SHOWN)
DSPY = Row("dspy", f"{CHAINED} of them in a comprehension; dspy.RLM", "s", SHOWN)
TREE = Row(
    "tree",
    f"a tree of depth {DEPTH}, {BRANCHES} children a node, 1 to 2 s an LM call; its critical path",
    "s",
    Limit(1.5, None, "≤ 1.5 × the path"),
)


def measures(server: HasUrl, side: DspySide) -> tuple[Measure, ...]:
    def laps(program: str, wanted: int, engine: Engine = "lm15") -> Callable[[], Sequence[float]]:
        return lambda: (_laps(RLM, lm(server, engine), program, wanted),)

    def theirs(tools: list[Any]) -> Any:
        return dspy.RLM("query -> answer", tools=tools, max_llm_calls=CALLS, interpreter_factory=side.interpreter)

    return (
        *(Measure((row,), laps("loop", CALLS, to), laps("batch", CALLS, to)) for to, row in LOOPS.items()),
        Measure((CHAIN,), laps("chain", CHAINED), lambda: (CHAINED * CALL_SECONDS,)),
        Measure((DSPY,), laps("short", CHAINED), lambda: (_timed(theirs, lm(server), "short", CHAINED),)),
        Measure((TREE,), lambda: (_tree(server),), lambda: (critical_path(),)),
    )


def warm_up(server: HasUrl) -> None:
    """Imports and starts what is slow only once."""
    for engine in ENGINES:
        _laps(RLM, lm(server, engine), "chain", CHAINED)


def _laps(kind: type[RLM], model: dspy.LM, program: str, wanted: int) -> float:
    def make(tools: list[Any]) -> Any:
        return kind("query -> answer", tools=tools, max_llm_calls=CALLS, concurrency=IN_FLIGHT)

    return _timed(make, model, program, wanted)


def _timed(make: Callable[[list[Any]], Any], model: dspy.LM, program: str, wanted: int) -> float:
    """Seconds between the two laps of a program's only cell."""
    laps: list[float] = []

    def lap() -> None:
        laps.append(time.perf_counter())

    with dspy.context(lm=model):
        answer = make([lap])(query=f"PROGRAM {program}").answer
    if answer != str(wanted):
        raise RuntimeError(f"{answer} calls were answered instead of {wanted}")
    return laps[1] - laps[0]


def _tree(server: HasUrl) -> float:
    """Seconds from the call of the root to its answer."""
    rlm = RLM("query -> answer", max_depth=DEPTH, max_llm_calls=1_000, concurrency=_TREE_CONCURRENCY)
    with dspy.context(lm=lm(server)):
        began = time.perf_counter()
        answer = rlm(query="PROGRAM tree0").answer
        seconds = time.perf_counter() - began
    if answer != "+".join(["leaf"] * BRANCHES**DEPTH):
        raise RuntimeError(f"the tree answered {answer[:200]!r}")
    return seconds
