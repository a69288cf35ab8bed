"""The names that modules of a program have: the same in records of runs, for optimizers, and in dspy."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from rlm_module import RLM, capture_runs, named_modules
from rlm_module.optimizers import RLMGEPA, RLMBootstrap, trajectory_feedback
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, turn


def _rlm() -> RLM:
    return RLM("q -> a", interpreter_factory=FakeInterpreter)


class Holding(dspy.Module):
    """Its RLMs stand in a dict, in a list and, deeper, once more."""

    def __init__(self) -> None:
        super().__init__()
        self.d = {"x": _rlm(), 1: _rlm()}
        self.steps = [dspy.ChainOfThought("q -> b"), _rlm()]
        self.deeper: Any = dspy.Module()
        self.deeper.inner = self.last = _rlm()

    def forward(self, q: str) -> Any:
        found = [rlm(q=q) for rlm in (self.d["x"], self.d[1], self.steps[1], self.last)]
        return found[0]


_PLACES = ["d['x']", "d['1']", "steps[1]", "last"]
_EXAMPLES = [dspy.Example(q=str(n), a=str(n)).with_inputs("q") for n in range(2)]


@pytest.fixture(autouse=True)
def _lm() -> Any:
    with dspy.context(lm=ScriptedLM(lambda request: turn("SUBMIT(a='wrong')"))):
        yield


def test_names_are_those_of_dspys_predictors() -> None:
    program = Holding()
    with capture_runs() as runs:
        program(q="?")
    assert [run.path for run in runs] == [f"self.{place}" for place in _PLACES]
    names = {id(module): name for name, module in named_modules(program)}
    acting = {id(predictor): name for name, predictor in program.named_predictors()}
    for rlm in (program.d["x"], program.d[1], program.steps[1]):
        assert f"{names[id(rlm)]}.generate_action" == f"self.{acting[id(rlm.generate_action)]}"
    assert names[id(program)] == "self"
    assert {type(module) for _, module in named_modules(program)} > {Holding, RLM, dspy.ChainOfThought}


def test_frozen_parts_can_be_left_out_with_all_that_is_in_them() -> None:
    program: Any = Holding()
    program._compiled = program.d["x"]._compiled = True
    names, left = ({name for name, _ in named_modules(program, skip_frozen=skip)} for skip in (False, True))
    left_out = names - left
    assert "self.d['x']" in left_out
    assert all(name.startswith("self.d['x']") for name in left_out)
    assert len(left_out) > 1


def test_a_metric_is_asked_by_the_names_that_dspy_has_and_is_shown_what_they_did() -> None:
    asked: dict[str, int] = {}

    def metric(gold: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        if pred_name:
            asked.setdefault(pred_name, len(pred_trace or []))
        return dspy.Prediction(score=0.0, feedback=f"about {pred_name}")

    program = Holding()
    optimizer = RLMGEPA(metric, reflection_lm=lambda request: "", max_runs=4, patience=1, show_progress=False)
    optimizer.compile(program, trainset=_EXAMPLES)
    acting = [name for name, _ in program.named_predictors() if name.endswith("generate_action")]
    assert {name: asked.get(name) for name in acting} == dict.fromkeys(acting, 1)


def test_feedback_on_an_rlm_in_a_dict_shows_its_own_run() -> None:
    with dspy.context(trace=[]):
        prediction = Holding()(q="?")
        trace = list(dspy.settings.trace)
    metric = trajectory_feedback(lambda gold, prediction, trace=None: 0.0)
    told = metric(_EXAMPLES[0], prediction, trace, "d['x'].generate_action", [trace[0]])
    assert "The run of `d['x']`" in told.feedback.split("\n\n")[1]
    alone = metric(_EXAMPLES[0], prediction, trace, "d['1'].generate_action", None)
    assert "The run of `d['1']`" in alone.feedback.split("\n\n")[1]


def test_demonstrations_are_gathered_in_a_dict_also_by_a_teacher_that_is_frozen() -> None:
    teacher = Holding()
    vars(teacher.d["x"])["_compiled"] = True
    optimizer = RLMBootstrap(lambda gold, prediction, trace=None: 1.0, show_progress=False)
    program: Any = optimizer.compile(Holding(), teacher=teacher, trainset=_EXAMPLES)
    assert all(rlm.generate_action.demos for rlm in (program.d["x"], program.d[1], program.steps[1], program.last))
