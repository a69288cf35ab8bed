"""Plain loops over sub-calls in runs: as fast as the batch, and otherwise as if nobody had helped."""

from __future__ import annotations

import threading
from typing import Any

import dspy
import pytest

from rlm_module import RLM, RunPrediction, concurrent
from rlm_module.events import CallFinished, CellFinished
from tests.scripted import ScriptedLM, fields, said, turn

FOUR = 4


class Together(ScriptedLM):
    """Answers only once so many requests are in flight."""

    def __init__(self, count: int = FOUR) -> None:
        self._barrier = threading.Barrier(count)
        super().__init__(self._reply)

    def _reply(self, request: Any) -> str:
        self._barrier.wait(30)
        asked = said(request)
        return fields(n=7) if "[[ ##" in asked else f"re {asked}"


def _run(sub: Any, *cells: str, **options: Any) -> RunPrediction:
    root = ScriptedLM([*map(turn, cells), turn("SUBMIT(answer=str(out))")])
    with dspy.context(lm=root):
        return RunPrediction.of(RLM("query -> answer", sub_lm=sub, **options)(query="go").run)


_PROGRAMS = {
    "comprehension": "out = [llm_query(f'q{i}') for i in range(4)]",
    "loop": "out = []\nfor i in range(4):\n    out.append(llm_query(f'q{i}'))",
    "function": "def ask(x):\n    return llm_query(f'q{x}')\nout = [ask(i) for i in range(4)]",
    "dict": "out = list({i: llm_query(f'q{i}') for i in range(4)}.values())",
    "nested": "out = [y for row in [[llm_query(f'q{2 * i + j}') for j in range(2)] for i in range(2)] for y in row]",
    "by key": "found = {}\nfor i in range(4):\n    found[i] = llm_query(f'q{i}')\nout = list(found.values())",
}


@pytest.mark.parametrize("program", _PROGRAMS)
def test_loops_run_at_once_and_in_order(program: str) -> None:
    assert _run(Together(), _PROGRAMS[program]).answer == str([f"re q{i}" for i in range(4)])


def test_typed_sub_calls_and_children_do_too() -> None:
    assert _run(Together(), 'out = [predict("t -> n: int", t=str(i)).n for i in range(4)]').answer == "[7, 7, 7, 7]"
    assert "re q3" in _run(Together(), "out = [rlm_query(f'q{i}') for i in range(4)]").answer


def test_tools_do_where_they_are_marked_as_concurrent() -> None:
    together = threading.Barrier(FOUR)

    @concurrent
    def lookup(key: str) -> str:
        together.wait(30)
        return key.upper()

    assert _run(None, "out = [lookup(k) for k in 'abcd']", tools=[lookup]).answer == "['A', 'B', 'C', 'D']"


def test_other_tools_are_called_one_after_another() -> None:
    running, most = [0], [0]

    def lookup(key: str) -> str:
        running[0] += 1
        most[0] = max(most[0], running[0])
        running[0] -= 1
        return key

    assert _run(None, "out = [lookup(k) for k in 'abcd']", tools=[lookup]).answer == "['a', 'b', 'c', 'd']"
    assert most == [1]


def test_calls_that_depend_on_each_other_stay_in_turn() -> None:
    sub = ScriptedLM(lambda request: f"{said(request)}!")
    prediction = _run(sub, "out = 'a'\nfor i in range(4):\n    out = llm_query(out)")
    assert prediction.answer == "a!!!!"
    assert len(sub.requests) == 4


def test_what_was_started_and_not_asked_for_is_told() -> None:
    sub = ScriptedLM(lambda request: said(request))
    cell = "out = []\nfor i in range(8):\n    out.append(llm_query(f'q{i}'))\n    if len(out) == 3: int('x')"
    prediction = _run(sub, cell, concurrency=3)
    (cell_end, *_) = [event for event in prediction.run.events if isinstance(event, CellFinished)]
    calls = [event for event in prediction.run.events if isinstance(event, CallFinished)]
    assert cell_end.failed
    assert 0 < cell_end.unused <= 3
    assert len(calls) <= 3 + cell_end.unused


def test_no_more_are_in_flight_than_the_tree_may_have() -> None:
    lock, running, most = threading.Lock(), [0], [0]
    full = threading.Barrier(2)

    def answer(request: Any) -> str:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        full.wait(30)
        with lock:
            running[0] -= 1
        return "x"

    cell = "a = [llm_query(f'a{i}') for i in range(6)]\nout = len(llm_query_batched(['b'] * 6)) + len(a)"
    assert _run(ScriptedLM(answer), cell, concurrency=2).answer == "12"
    assert most == [2]
