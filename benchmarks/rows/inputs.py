"""How long a sandbox takes to start, and what a large input costs, in its first cell and in later ones."""

from __future__ import annotations

import time
from functools import cache
from typing import Any, Protocol

import dspy

from benchmarks.dspy_side import DspySide
from benchmarks.measure import Limit, Measure, Row, times_theirs
from benchmarks.scripted import root_lm
from rlm_module import RLM, Sandbox

_LATER_CELLS = 5
_TURNS = 10

START = Row("start", "process start to first cell result", "s", times_theirs(0.25))
FIRST = Row("first-cell", "50 MB text input: first cell", "s", times_theirs(0.05))
LATER = Row("later-cell", "50 MB text input: any later cell", "ms", Limit(1, 0.010, "≤ 10 ms"))
RUN = Row("run", "whole run, 10 turns, scripted LM, 10 MB input", "s", times_theirs(0.05))


class Interpreter(Protocol):
    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any: ...

    def shutdown(self) -> None: ...


@cache
def text_of(size: int) -> str:
    """ASCII records, `size` characters in all, with what text has: line ends, quotes and backslashes."""
    lines = (
        f"{i:08d} | 2024-03-17 09:41 | user {i % 997:03d} | \"it's {i % 13} o'clock\" \\ said so\n"
        for i in range(size // 60)
    )
    text = "".join(lines)
    return (text * (size // len(text) + 1))[:size]


def measures(side: DspySide) -> tuple[Measure, ...]:
    return (
        Measure((START,), lambda: _start(Sandbox), lambda: _start(side.interpreter)),
        Measure((FIRST, LATER), _our_cells, lambda: _their_cells(side)),
        Measure(
            (RUN,),
            lambda: _run(RLM("context -> answer", max_iters=_TURNS)),
            lambda: _run(dspy.RLM("context -> answer", max_iters=_TURNS, interpreter_factory=side.interpreter)),
        ),
    )


def warm_up(side: DspySide) -> None:
    """Brings both sides to where nothing is fetched, built or imported any more."""
    for make in (Sandbox, side.interpreter):
        _start(make)
    for rlm in (RLM("task -> answer"), dspy.RLM("task -> answer", interpreter_factory=side.interpreter)):
        with dspy.context(lm=root_lm(["SUBMIT(answer='ready')"])):
            rlm(task="Start.")


def _start(make: Any) -> tuple[float]:
    began = time.perf_counter()
    interpreter: Interpreter = make()
    try:
        _expect("1", interpreter.execute("print(1)"))
        return (time.perf_counter() - began,)
    finally:
        interpreter.shutdown()


def _our_cells() -> tuple[float, float]:
    """The first cell, and the slowest of later ones: passed again as dspy's modules do, and run as RLM does."""
    variables = {"context": text_of(50_000_000)}
    with Sandbox() as sandbox:
        sandbox.execute("print(1)")
        first = _cell(sandbox, variables)
        later = [_cell(sandbox, variables) for _ in range(_LATER_CELLS)]
        for _ in range(_LATER_CELLS):
            began = time.perf_counter()
            result = sandbox.session.execute("print(len(context))").result()
            later.append(time.perf_counter() - began)
            _expect("50000000", result.text)
    return first, max(later)


def _their_cells(side: DspySide) -> tuple[float, float]:
    variables = {"context": text_of(50_000_000)}
    with side.interpreter() as interpreter:
        interpreter.execute("print(1)")
        return _cell(interpreter, variables), _cell(interpreter, variables)


def _cell(interpreter: Interpreter, variables: dict[str, Any]) -> float:
    began = time.perf_counter()
    result = interpreter.execute("print(len(context))", variables)
    seconds = time.perf_counter() - began
    _expect("50000000", result)
    return seconds


def _run(rlm: Any) -> tuple[float]:
    text = text_of(10_000_000)
    looks = [f"print(len(context), context[{turn * 1000} : {turn * 1000 + 40}])" for turn in range(1, _TURNS)]
    with dspy.context(lm=root_lm([*looks, "SUBMIT(answer=str(len(context)))"])):
        began = time.perf_counter()
        prediction = rlm(context=text)
        seconds = time.perf_counter() - began
    _expect("10000000", prediction.answer)
    if len(prediction.trajectory) != _TURNS:
        raise RuntimeError(f"the run took {len(prediction.trajectory)} turns instead of {_TURNS}")
    return (seconds,)


def _expect(wanted: str, found: Any) -> None:
    if str(found).strip() != wanted:
        raise RuntimeError(f"a cell returned {str(found)[:200]!r} instead of {wanted!r}")
