from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import pydantic
import pytest

from rlm_module import RLM
from rlm_module.events import RunFinished, RunStarted
from rlm_module.optimizers import diagnose
from rlm_module.signatures import Directory, Documents
from tests.fake_interpreter import FakeInterpreter
from tests.optimizers.recorded import Cell, Sub, run_of, words
from tests.scripted import ScriptedLM, said, turn


def test_a_run_without_fault_has_nothing_said_of_it() -> None:
    diagnosis = diagnose(run_of([Cell("print(1)", "1"), Cell("SUBMIT(answer='a')", "SUBMITTED: {'answer': 'a'}")]))
    assert diagnosis.sentences() == []
    assert (diagnosis.turns, diagnosis.reason, diagnosis.tokens, diagnosis.seconds) == (2, "submitted", 240, 1.0)
    assert diagnosis.cost_usd == pytest.approx(0.02)


def test_faults_are_counted_and_told() -> None:
    cells = [
        Cell("x", "NameError: name 'x' is not defined", failed=True),
        Cell("print(x)", "NameError: name 'x' is not defined", failed=True),
        Cell(""),
        Cell("y = llm_query_batched(z)", "done", subs=[Sub("a", "b"), Sub("c", error="LMError: down")]),
        Cell("# once more\ny  =  llm_query_batched(z)", "done", subs=[Sub("a", "b")]),
        Cell("SUBMIT(answer=1)", "SUBMIT was refused. `answer`: no.", failed=True),
    ]
    diagnosis = diagnose(run_of(cells, reason="max_iters", is_drawn_up=True))
    assert (diagnosis.turns, diagnosis.failed_cells, diagnosis.repeated_turns, diagnosis.empty_turns) == (6, 3, 2, 1)
    assert (diagnosis.refused_submissions, diagnosis.sub_calls, diagnosis.failed_sub_calls) == (1, 3, 1)
    assert diagnosis.fell_back
    told = " ".join(diagnosis.sentences())
    for words_ in ("all of its 6 turns", "drawn up", "failed", "refused", "repeated", "no code", "1 of 3 sub-calls"):
        assert words_ in told


@pytest.mark.parametrize(
    ("reason", "words_"),
    [("budget:cost", "money"), ("budget:seconds", "time"), ("error", "error"), ("cancelled", "cancelled")],
)
def test_how_it_ended_is_told(reason: Any, words_: str) -> None:
    assert words_ in diagnose(run_of([Cell("x")], reason=reason)).sentences()[0]


def test_a_limit_that_others_helped_to_reach_is_told_as_such() -> None:
    *before, finished = run_of([Cell("x")], reason="budget:cost")
    assert isinstance(finished, RunFinished)
    told = diagnose([*before, replace(finished, met_shared_limit=True)])
    assert told.met_shared_limit
    assert told.sentences()[0] == "The run ended because its money, which it shares with other runs, had run out."
    assert not diagnose([*before, finished]).met_shared_limit


def test_a_run_that_was_cut_off_counts_as_an_error() -> None:
    events = tuple(event for event in run_of([Cell("x", "y")]) if not isinstance(event, RunFinished))
    assert diagnose(events).reason == "error"
    assert diagnose(()).turns == 0


def test_one_price_that_is_not_known_leaves_the_cost_unknown() -> None:
    first, second, *rest = run_of([Cell("x")])
    lm_call: Any = rest[0]
    unpriced = replace(lm_call, usage=replace(lm_call.usage, cost_usd=None))
    assert diagnose((first, second, unpriced, *rest[1:])).cost_usd is None


_TEXT = words(100_000)


class _Model(pydantic.BaseModel):
    pages: list[str]


@pytest.mark.parametrize(
    "value", [_TEXT, Documents({"a": _TEXT}), {"deep": [(_TEXT,)]}, _Model(pages=[_TEXT[:50_000], _TEXT[50_000:]])]
)
@pytest.mark.parametrize("read", [0.0, 0.25, 1.0])
def test_how_much_was_read_is_estimated(value: Any, read: float) -> None:
    """What sub-LMs are asked and what cells print both count as read, however they are cut."""
    shown = _TEXT[: int(read * len(_TEXT))]
    half = len(shown) // 2
    cells = [Cell("x", shown[:half], subs=[Sub(f"Read: {shown[half:]}", "no")]), Cell("SUBMIT(answer=1)", "done")]
    events = run_of(cells, inputs={"context": f"{type(value).__name__}, some size"})
    share = diagnose(events, {"context": value}).unread_share
    assert share is not None
    assert share == pytest.approx(1 - read, abs=0.06)


@pytest.mark.parametrize(
    "inputs",
    [
        None,
        {},
        {"context": "short"},
        {"other": _TEXT},
        {"context": "x" * 100_000},
        {"context": _TEXT + "longer"},
        {"context": 5},
    ],
)
def test_of_small_other_or_empty_inputs_nothing_is_said(inputs: Any) -> None:
    events = run_of([Cell("x", "y")], inputs={"context": "str, 100,000 characters"})
    assert diagnose(events, inputs).unread_share is None


def test_a_folder_is_read_once_and_not_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(_TEXT)
    folder = Directory(tmp_path)
    before = pickle.dumps(folder)
    events = run_of([Cell("x", _TEXT[:50_000]), Cell("y")], inputs={"code": "Directory, 1 files"})
    assert diagnose(events, {"code": folder}).unread_share == pytest.approx(0.5, abs=0.06)
    (tmp_path / "a.txt").unlink()
    assert diagnose(events, {"code": folder}).unread_share == pytest.approx(0.5, abs=0.06)
    assert folder.__pydantic_private__ == pickle.loads(before).__pydantic_private__
    assert diagnose(events, {"code": Directory(tmp_path)}).unread_share is None


def test_a_small_input_beside_a_large_one_is_passed_over() -> None:
    events = run_of([Cell("x", _TEXT), Cell("y")], inputs={"context": "Documents, 1 texts", "query": "str"})
    share = diagnose(events, {"context": {"a": _TEXT}, "query": words(2_000, 7)}).unread_share
    assert share == pytest.approx(0.0, abs=0.02)


def test_of_a_real_run_what_the_root_printed_and_asked_is_read() -> None:
    lm = ScriptedLM(
        lambda request: (
            "sub reply"
            if "[Turn" not in said(request)
            else turn("SUBMIT(answer='x')")
            if "Turn 2" in said(request)
            else turn("llm_query(context[:20000])")
        )
    )
    context = words(40_000)
    with dspy.context(lm=lm):
        prediction = RLM("context -> answer", interpreter_factory=FakeInterpreter)(context=context)
    diagnosis = diagnose(prediction.run.events, {"context": context})
    assert isinstance(prediction.run.events[0], RunStarted)
    assert diagnosis.unread_share == pytest.approx(0.5, abs=0.1)
    assert (diagnosis.turns, diagnosis.sub_calls) == (2, 1)
