"""Two RLMs of one program with the same signature, which dspy's optimizers know by their predictors' signatures."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import dspy
import pytest

from rlm_module import RLM
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, fields, turn


class Twins(dspy.Module):
    """One asks the other."""

    def __init__(self) -> None:
        super().__init__()
        self.x = RLM("q -> a", interpreter_factory=FakeInterpreter)
        self.y = RLM("q -> a", interpreter_factory=FakeInterpreter)

    def forward(self, q: str) -> Any:
        return self.y(q=f"after {self.x(q=q).a}")


_EXAMPLES = [dspy.Example(q=str(n), a="x").with_inputs("q") for n in range(3)]


def _lm() -> ScriptedLM:
    return ScriptedLM(lambda request: turn("SUBMIT(a='x')"))


def _ran(program: Twins) -> Twins:
    with dspy.context(lm=_lm(), trace=[]):
        program(q="1")
    return program


def _same(one: RLM, other: RLM) -> bool:
    pairs: Any = zip(one.predictors(), other.predictors(), strict=True)
    same = {a.signature.equals(b.signature) for a, b in pairs}
    assert len(same) == 1
    return same.pop()


def test_those_of_one_program_are_told_apart_and_those_of_its_copies_are_not() -> None:
    program = _ran(Twins())
    assert not _same(program.x, program.y)
    for copied in (program.deepcopy(), copy.deepcopy(program), program.reset_copy()):
        assert _same(program.x, copied.x)
        assert not _same(program.x, copied.y)
    learned = program.deepcopy()
    for rlm in (learned.x, learned.y):
        rlm.load_state(program.x.dump_state())
        rlm.signature = "q -> a"
    assert not _same(_ran(learned).x, learned.y)
    assert json.dumps(program.dump_state()) == json.dumps(Twins().dump_state())


def test_those_of_a_program_built_apart_or_unpickled_are_the_same_to_dspy() -> None:
    program, other = _ran(Twins()), _ran(Twins())
    unpickled = _ran(pickle.loads(pickle.dumps(program)))
    for apart in (other, unpickled):
        assert _same(program.x, apart.x)
        assert _same(program.y, apart.y)
        assert not _same(apart.x, apart.y)


@pytest.mark.parametrize("has_run", [False, True])
def test_a_teacher_built_apart_still_teaches(has_run: bool) -> None:
    student, teacher = Twins(), Twins()
    if has_run:
        _ran(student)
        _ran(teacher)
    optimizer = dspy.BootstrapFewShot(lambda gold, prediction, trace=None: True, max_labeled_demos=0)
    with dspy.context(lm=_lm()):
        program: Any = optimizer.compile(student, teacher=teacher, trainset=_EXAMPLES)
    assert program.x.generate_action.demos
    assert program.y.generate_action.demos


def test_gepa_gives_each_feedback_on_its_own_turns() -> None:
    told: list[tuple[str, str]] = []

    def metric(gold: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        if pred_name:
            told.append((pred_name, str(pred_trace[0][1])))
        return dspy.Prediction(score=0.5, feedback="Go on.")

    optimizer = dspy.GEPA(
        metric=metric,
        max_metric_calls=30,
        reflection_minibatch_size=2,
        reflection_lm=ScriptedLM(lambda request: "```\nAnother text.\n```"),
        component_selector="all",
        use_merge=False,
        num_threads=1,
    )
    with dspy.context(lm=_lm()):
        optimizer.compile(Twins(), trainset=_EXAMPLES, valset=_EXAMPLES[:1])
    acted = [(name, "after x" in shown) for name, shown in told if name.endswith("generate_action")]
    assert {name for name, _ in acted} == {"x.generate_action", "y.generate_action"}
    assert [name == "y.generate_action" for name, _ in acted] == [is_ys for _, is_ys in acted]


def test_a_plain_predictor_of_such_a_program_is_left_alone() -> None:
    program: Any = Twins()
    program.plain = plain = dspy.Predict("q -> a")
    signature: Any = plain.signature
    _ran(program)
    assert signature is plain.signature
    assert "task" not in signature.fields["q"].json_schema_extra
    with dspy.context(lm=ScriptedLM([fields(a="x")])):
        assert program.plain(q="1").a == "x"
