from __future__ import annotations

import dspy
from dspy.signatures import make_signature

from rlm_module.signatures import act_signature, extract_signature, task_mark
from rlm_module.signatures.extract import extract_inputs


def test_the_act_signature_asks_for_reasoning_then_code() -> None:
    signature = act_signature(make_signature("context, query -> answer"))
    assert list(signature.input_fields) == ["request", "history"]
    assert list(signature.output_fields) == ["reasoning", "code"]
    assert signature.input_fields["history"].annotation is dspy.History


def test_no_field_has_a_default_which_would_break_the_common_prefix() -> None:
    signature = act_signature(make_signature("a -> b"))
    assert all(field.is_required() for field in signature.fields.values())


def test_the_extract_signature_has_the_tasks_outputs_with_types_and_constraints() -> None:
    class Task(dspy.Signature):
        q: str = dspy.InputField()
        count: int = dspy.OutputField(desc="how many", ge=0)

    signature = extract_signature(Task)
    field = signature.output_fields["count"]
    assert field.annotation is int
    assert isinstance(field.json_schema_extra, dict)
    assert field.json_schema_extra["desc"] == "how many"
    assert list(signature.input_fields) == ["task", "transcript"]


def test_outputs_that_bear_the_extract_inputs_names_win() -> None:
    task = make_signature("q -> task, transcript: int")
    assert extract_inputs(task) == ("task_", "transcript_")
    assert list(extract_signature(task).output_fields) == ["task", "transcript"]


def test_the_mark_names_the_task_and_its_fields() -> None:
    assert task_mark(make_signature("a, b -> c", signature_name="Mine")) == "Mine(a, b -> c)"
