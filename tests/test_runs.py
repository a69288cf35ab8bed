from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import cloudpickle
import dspy

from rlm_module import RLM, capture_runs, traced_runs
from rlm_module.events import CallFinished, Resumed, RunFinished, RunStarted
from rlm_module.journal import RunFolder, read_run
from rlm_module.runs import open_journal
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, turn


def _answer(rlm: RLM, *cells: str, sub: Any = None, **inputs: Any) -> Any:
    """Runs cells as the root's turns, with `sub` answering everything else."""
    with dspy.context(lm=ScriptedLM([turn(cell) for cell in cells])):
        if sub is not None:
            rlm.sub_lm = sub
        return rlm(**inputs)


def test_nested_runs_are_seen_by_whoever_captures() -> None:
    class Program(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps = [RLM("q -> a", interpreter_factory=FakeInterpreter)]

        def forward(self, q: str) -> Any:
            return self.steps[0](q=q)

    live: list[Any] = []
    with dspy.context(lm=ScriptedLM(lambda request: turn("SUBMIT(a='x')"))), capture_runs(live.append) as runs:
        Program()(q="1")
        RLM("q -> a", interpreter_factory=FakeInterpreter)(q="2")
    RLM("q -> a", interpreter_factory=FakeInterpreter)
    assert [run.path for run in runs] == ["self.steps[0]", "self"]
    assert [type(runs[0].events[0]), type(runs[0].events[-1])] == [RunStarted, RunFinished]
    assert tuple(live) == runs[0].events + runs[1].events


def test_a_listener_that_fails_ends_no_run() -> None:
    def broken(event: Any) -> None:
        raise RuntimeError("display is gone")

    with capture_runs(broken) as runs:
        assert _answer(RLM("q -> a", interpreter_factory=FakeInterpreter), "SUBMIT(a='x')", q="1").a == "x"
    assert runs[0].events


def test_events_tell_of_calls_and_their_usage() -> None:
    rlm = RLM("q -> a")
    prediction = _answer(rlm, "SUBMIT(a=str(llm_query_batched(['a', 'b'])))", sub=ScriptedLM(["1", "2"]), q="1")
    finished = [event for event in prediction.run.events if isinstance(event, CallFinished)]
    usage = sorted((event.function, event.usage.calls) for event in finished)
    assert usage == [("llm_query", 1), ("llm_query", 1), ("llm_query_batched", 2)]


def test_a_journal_is_kept_on_disk_by_the_store_it_is_given(tmp_path: Path) -> None:
    earlier = RunStarted(run_id="r1", task="QA", inputs={}, max_iters=1, max_llm_calls=1)
    resumed = Resumed(run_id="r1", turns=0)
    folder = RunFolder.create(tmp_path, "r1")
    with capture_runs() as runs:
        journal = open_journal("r1", RLM("q -> a"), store=folder, earlier=[earlier])
    journal.record(resumed)
    journal.close()
    assert runs == [journal]
    assert journal.events == (earlier, resumed)
    assert read_run(folder.path) == (resumed,)


class _Two(dspy.Module):
    """Two RLMs and a predictor, whose answer tells nothing of them."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = RLM("q -> a", interpreter_factory=FakeInterpreter)
        self.writer = RLM("q -> a", interpreter_factory=FakeInterpreter)

    def forward(self, q: str) -> dspy.Prediction:
        return dspy.Prediction(a=self.writer(q=self.reader(q=q).a).a)


def test_a_trace_tells_of_the_runs_of_a_larger_program() -> None:
    with dspy.context(lm=ScriptedLM(lambda request: turn("SUBMIT(a='x')")), trace=[]):
        _Two()(q="1")
        trace = copy.deepcopy(list(dspy.settings.trace))
    runs = traced_runs(trace)
    assert [run.path for run in runs] == ["self.reader", "self.writer"]
    assert all(isinstance(run.events[-1], RunFinished) for run in runs)
    assert traced_runs(cloudpickle.loads(cloudpickle.dumps([step[2:] * 3 for step in trace]))) == []


def test_the_trace_that_is_nobodys_holds_no_run() -> None:
    before = len(dspy.settings.trace)
    with dspy.context(lm=ScriptedLM([turn("SUBMIT(a='x')")])):
        RLM("q -> a", interpreter_factory=FakeInterpreter)(q="1")
    assert len(dspy.settings.trace) > before
    assert traced_runs(dspy.settings.trace) == []
