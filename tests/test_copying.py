"""Copies of RLMs and of programs that hold them: what they share, and that the original stays as it is."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import dspy
import pytest

from rlm_module import RLM
from rlm_module.optimizers import RLMGEPA, RLMBootstrap
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, turn


class Client:
    """What cannot be copied, as a client of a database cannot."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def look(self, key: str) -> str:
        """Looks something up."""
        with self.lock:
            return key


class Remembering(RLM):
    """With attributes of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__("q -> a", **options)
        self.notes = {"seen": [1]}
        self.client = Client()
        self.mixed: list[Any] = [self.client, [dspy.Predict("q -> a")]]
        self.again = self.mixed


def _rlm() -> RLM:
    return RLM("q -> a", tools=[Client().look], interpreter_factory=FakeInterpreter)


class Holding(dspy.Module):
    """Its RLMs are in a list and in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = [_rlm()]
        self.named = {"one": _rlm()}

    def forward(self, q: str) -> Any:
        return self.named["one"](q=self.listed[0](q=q).a)


def _lm() -> ScriptedLM:
    return ScriptedLM(lambda request: turn("SUBMIT(a=look(q))"))


def _is_right(gold: Any, prediction: Any, trace: Any = None) -> float:
    return float(gold.a == prediction.a)


_EXAMPLES = [dspy.Example(q=str(n), a=str(n)).with_inputs("q") for n in range(2)]


def _bootstrapped(student: Holding) -> Any:
    return dspy.BootstrapFewShot(_is_right, max_bootstrapped_demos=1, max_labeled_demos=0).compile(
        student, trainset=_EXAMPLES
    )


def _demonstrated(student: Holding) -> Any:
    return RLMBootstrap(_is_right, show_progress=False).compile(student, trainset=_EXAMPLES)


@pytest.mark.parametrize("compile_it", [_bootstrapped, _demonstrated])
def test_a_student_is_left_as_it_was_though_its_tools_cannot_be_copied(compile_it: Any) -> None:
    student = Holding()
    with dspy.context(lm=_lm()):
        program = compile_it(student)
    assert program.listed[0] is not student.listed[0]
    assert program.named["one"].generate_action is not student.named["one"].generate_action
    assert all(predictor.demos == [] for predictor in student.predictors())
    assert program.listed[0].generate_action.demos
    assert program.named["one"].generate_action.demos


def test_texts_under_trial_are_not_put_into_the_student() -> None:
    student = Holding()
    before, seen = student.dump_state(), list[Any]()

    def disagree(gold: Any, prediction: Any, trace: Any = None) -> float:
        seen.append(student.dump_state())
        return 0.0

    with dspy.context(lm=_lm()):
        RLMGEPA(
            disagree, reflection_lm=lambda request: "```\nAnother text.\n```", max_runs=8, show_progress=False
        ).compile(student, trainset=_EXAMPLES)
    assert len(seen) > 2
    assert all(state == before for state in seen)


def test_a_copy_shares_tools_and_lms_and_has_its_own_predictors_and_wording() -> None:
    rlm = _rlm()
    rlm.set_lm(_lm())
    rlm.wording.tools["look"] = "Looks."
    for copied in (copy.deepcopy(rlm), rlm.deepcopy(), copy.deepcopy([rlm])[0]):
        assert copied.tools["look"] is rlm.tools["look"]
        assert copied.generate_action is not rlm.generate_action
        assert copied.generate_action.lm is rlm.generate_action.lm
        assert copied.dump_state() == rlm.dump_state()
        copied.wording.tools["look"] = "Changed."
        copied.generate_action.demos.append({"turns": []})
        copied.signature = "other -> a"
        assert (rlm.wording.tools["look"], rlm.generate_action.demos) == ("Looks.", [])
        assert list(rlm.signature.input_fields) == ["q"]
        with dspy.context(lm=_lm()):
            assert rlm(q="x").a == "x"


def test_attributes_of_a_subclass_are_copied_as_far_as_they_can_be() -> None:
    rlm = Remembering(tools=[Client().look])
    copied: Any = copy.deepcopy(rlm)
    assert type(copied) is Remembering
    assert copied.notes == rlm.notes
    assert copied.notes["seen"] is not rlm.notes["seen"]
    assert copied.client is rlm.client
    assert copied.mixed[0] is rlm.client
    assert copied.mixed[1][0] is not rlm.mixed[1][0]
    assert copied.again is copied.mixed


def test_an_rlm_that_a_program_holds_twice_is_one_in_its_copy() -> None:
    program = Holding()
    program.named["two"] = program.listed[0]
    copied = program.deepcopy()
    assert len({id(module) for module in copied.named.values()}) == 2
    both: list[Any] = copy.deepcopy([program.listed[0], program.listed])
    assert both[0] is both[1][0]


def test_a_copy_of_a_copy_can_be_pickled() -> None:
    copied = copy.deepcopy(copy.deepcopy(RLM("q -> a")))
    copied.generate_action.demos = [{"turns": []}]
    assert pickle.loads(pickle.dumps(copied)).dump_state() == copied.dump_state()
