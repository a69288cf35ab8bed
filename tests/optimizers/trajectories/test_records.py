from __future__ import annotations

import json
from typing import Any

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module import RLM, InputError, capture_runs
from rlm_module.events import RunFinished
from rlm_module.optimizers import RunRecord, records_of, render
from tests.optimizers.recorded import Cell, Sub, run_of, words
from tests.scripted import ScriptedLM, said, turn

_SYMPTOM = "the ledger says zyxomma"


def _long_run(turns: int, *, at: int, output: str = "", reply: str = "") -> Any:
    """A run of that many turns, each with 3,000 characters of output, of which one shows a symptom."""
    cells = [
        Cell(
            f"rows_{number} = [ask(row) for row in rows[{number}]]\nprint(rows_{number})",
            f"{words(1500, number)}\n{words(1500, 99 + number)}",
            reasoning=words(300, number),
            subs=[Sub(f"Say what row {number} means: {words(500, number)}", words(80, 7 * number))],
        )
        for number in range(1, turns + 1)
    ]
    if output:
        cells[at - 1].output = output
    if reply:
        cells[at - 1].subs = [*cells[at - 1].subs, Sub("Say what it means.", reply)]
    return run_of(cells)


@pytest.mark.parametrize("turns", [10, 20, 30])
@pytest.mark.parametrize("place", ["first", "middle", "final"])
@pytest.mark.parametrize(
    "symptom",
    [
        {"output": f"{_SYMPTOM}\n{words(4000, 5)}"},
        {"output": f"{words(4000, 5)}\n{_SYMPTOM}"},
        {"output": _SYMPTOM},
        {"reply": _SYMPTOM},
        {"reply": f"{_SYMPTOM}. {words(400, 5)}"},
    ],
    ids=["first line", "last line", "only line", "reply", "long reply"],
)
def test_a_symptom_is_found_wherever_it_shows(turns: int, place: str, symptom: dict[str, str]) -> None:
    at = {"first": 1, "middle": turns // 2, "final": turns}[place]
    text = render(_long_run(turns, at=at, **symptom))
    assert _SYMPTOM in text
    assert len(text) <= 12_000


@pytest.mark.parametrize("turns", [10, 30, 60])
def test_no_turn_disappears(turns: int) -> None:
    text = render(_long_run(turns, at=1))
    assert [line.split()[1] for line in text.splitlines() if line.startswith("Turn ")] == [
        str(number) for number in range(1, turns + 1)
    ]


def test_turns_that_there_is_no_room_for_are_counted() -> None:
    text = render(_long_run(400, at=1))
    shown = sum(line.startswith("Turn ") for line in text.splitlines())
    left_out = sum(
        int(line[1:].split()[0]) for line in text.splitlines() if line.endswith("left out here)") and "turn" in line
    )
    assert shown + left_out == 400
    assert "Turn 400" in text
    assert text.splitlines()[-1].startswith("Ended: submitted")


def test_calls_of_a_large_batch_that_failed_come_first() -> None:
    subs = [Sub(f"{'Classify the row. ' * 20}Row {number}", f"reply {number}") for number in range(200)]
    subs[117].error = "timeout: the model did not answer"
    text = render(run_of([Cell("x", "y", subs=subs)]), chars=3_000)
    assert "llm_query_batched, 200 calls, 1 failed" in text
    assert "(as above, then) 117 -> failed: timeout" in text
    assert "calls left out here" in text


def test_what_repeats_is_told_once() -> None:
    output = words(3000)
    cells = [Cell("print(text)", output), Cell("print( text )  ", "other"), Cell("print(t)", output)]
    text = render(run_of(cells))
    assert "Turn 2 (repeats turn 1)" in text or "Turn 2" in text
    assert text.count(output[:50]) == 1
    assert "(as in turn 1)" in text


def test_no_limit_of_the_run_is_in_it() -> None:
    assert "Sub-LM calls left" not in render(run_of([Cell("x", "y"), Cell("z", "w")]))


@settings(max_examples=50)
@given(
    st.lists(st.builds(Cell, st.text(max_size=300), st.text(max_size=300), st.booleans(), st.text(max_size=99))),
    st.integers(0, 2_000),
)
def test_no_rendering_is_longer_than_it_may_be(cells: list[Cell], chars: int) -> None:
    assert len(render(run_of(cells), chars=chars)) <= chars


def test_answers_that_cannot_be_shown_do_no_harm() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    *events, ended = run_of([Cell("x", "y")], outputs={"answer": Broken(), "text": "x" * 10**6})
    assert isinstance(ended, RunFinished)
    assert len(render([*events, ended])) < 2_000


def test_of_a_real_run_with_a_child_and_a_tool() -> None:
    def lookup(key: str) -> str:
        return f"value of {key}"

    cells = iter(
        [
            turn("print(llm_query_batched(['what is a', 'what is b']))"),
            turn("print(rlm_query('the sub-question', context='abc'))"),
            turn("SUBMIT(answer='from the child')"),
            turn("1/0"),
            "I would rather explain.",
            turn("print(lookup('k'))"),
            turn("SUBMIT(answer='x')"),
        ]
    )
    lm = ScriptedLM(lambda request: next(cells) if "[Turn" in said(request) else f"reply to {said(request)[:20]}")
    with dspy.context(lm=lm), capture_runs() as runs:
        RLM("context, query -> answer", max_depth=2, tools=[lookup])(context="c" * 100, query="q?")
    (record,) = records_of(runs)
    for shown in (
        "what is a -> reply to what is a",
        "rlm_query: a child RLM:",
        "the sub-question",
        "from the child",
        "Turn 3 (failed)",
        "ZeroDivisionError",
        "I would rather explain.",
        "Code: none",
        "lookup: str, 1 characters -> (see the output)",
        "value of k",
        "Ended: submitted, after 6 turns",
    ):
        assert shown in record.text
    assert record.path == ""
    assert record.diagnosis.empty_turns == 1
    assert record.diagnosis.sub_calls == 3


def test_records_are_json_both_ways() -> None:
    class Program(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.reader = RLM("q -> a")

        def forward(self, q: str) -> Any:
            return self.reader(q=q)

    with dspy.context(lm=ScriptedLM([turn("SUBMIT(a='x')")])), capture_runs() as runs:
        Program()(q="1")
    (record,) = records_of(runs)
    assert record.path == "reader"
    kept = json.loads(json.dumps(record.to_json()))
    assert RunRecord.from_json(kept) == record
    del kept["diagnosis"]["met_shared_limit"]  # as in records of before it was told
    assert RunRecord.from_json(kept) == record
    with pytest.raises(InputError, match="another version"):
        RunRecord.from_json({"path": "reader"})
