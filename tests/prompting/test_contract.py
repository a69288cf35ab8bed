from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import dspy
import pydantic

from rlm_module import RLM
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, texts, turn


class Finding(pydantic.BaseModel):
    page: int
    quote: str


class Task(dspy.Signature):
    """Find it."""

    context: str = dspy.InputField()
    kind: Literal["a", "b"] = dspy.OutputField(desc="which kind")
    day: dt.date = dspy.OutputField()
    found: list[Finding] = dspy.OutputField()
    score: float = dspy.OutputField(ge=0, le=1)


def _told(signature: Any = "q -> answer", **options: Any) -> tuple[str, str]:
    """The system message and the first request of a run."""
    lm = ScriptedLM(lambda request: turn("x = 1"))
    rlm = RLM(signature, max_iters=1, **options)
    rlm.extract = lambda **_: dspy.Prediction(answer="x", kind="a", day="2024-01-01", found=[], score=1)
    with dspy.context(lm=lm):
        rlm(**dict.fromkeys(rlm.signature.input_fields, "text"))
    (_, system), (_, request) = texts(lm.requests[0])
    return system, request


def test_outputs_are_told_with_types_descriptions_constraints_and_schemas() -> None:
    system, request = _told(Task)
    assert "SUBMIT(kind: Literal['a', 'b'], day: date, found: list[Finding], score: float)" in system
    assert "- `kind` (Literal['a', 'b']): which kind." in system
    assert "greater than or equal to: 0" in system
    assert '"quote"' in system
    assert request.startswith("[[ ## request ## ]]\nFind it.")


class Noted(dspy.Signature):
    """Find it."""

    context: str = dspy.InputField()
    answer: str = dspy.OutputField()
    notes: list[str] = dspy.OutputField(desc="what is odd", default=[])


def test_an_output_with_a_default_may_be_left_out() -> None:
    with dspy.context(lm=ScriptedLM([turn("SUBMIT()"), turn("SUBMIT(answer='yes')")])):
        prediction: Any = RLM(Noted)(context="text")
    assert (prediction.answer, prediction.notes) == ("yes", [])
    assert "misses 'answer'" in prediction.trajectory[0]["output"]
    own, _ = _told(Noted)
    assert "SUBMIT(answer: str, notes: list[str])" in own
    assert "it takes all of them but those that may be left out, by name." in own
    assert "- `notes` (list[str]): what is odd. May be left out." in own


def test_an_interpreter_of_other_make_may_demand_every_output() -> None:
    foreign, _ = _told(Noted, interpreter_factory=FakeInterpreter)
    assert "left out" not in foreign


def test_limits_are_told_as_they_are_now() -> None:
    rlm_system, request = _told(max_llm_calls=3, max_output_chars=1234)
    assert "at most 1 turns and 3 sub-LM calls" in rlm_system
    assert "up to 1,234 characters" in rlm_system
    assert "[Turn 1 of 1." in request


def test_what_only_this_packages_sandbox_can_do_is_told_only_there() -> None:
    own, _ = _told()
    foreign, _ = _told(interpreter_factory=FakeInterpreter)
    assert "llm_query.aio" in own
    assert "SHOW_VARS" in own
    assert "llm_query.aio" not in foreign
    assert "SHOW_VARS" not in foreign
    assert "dict with `error`" in foreign
