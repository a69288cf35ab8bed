from __future__ import annotations

import re

import dspy
from dspy.signatures import make_signature

from rlm_module import RLM
from rlm_module.signatures import SPARING, STRATEGY, TERSE, Compact, act_signature, extract_signature, task_mark
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


def test_additions_to_the_strategy_follow_it_and_are_kept_with_what_is_learned() -> None:
    rlm = RLM("a -> b")
    rlm.generate_action.signature = act_signature(rlm.signature, SPARING, TERSE)
    assert rlm.generate_action.signature.instructions == f"{STRATEGY}\n{SPARING}\n{TERSE}"
    assert rlm.generate_action.dump_state()["instructions"].endswith(TERSE)
    plain, added = act_signature(rlm.signature), rlm.generate_action.signature
    assert plain.input_fields["request"].json_schema_extra == added.input_fields["request"].json_schema_extra


def test_the_strategy_is_short_and_names_no_function_or_limit() -> None:
    text = "\n".join([STRATEGY, SPARING, TERSE])
    assert len(text) < 3_500
    assert not re.search(r"\w\(|\bllm_query|\bSUBMIT\b|\bpredict\b|\d", text)


def test_the_compact_signature_asks_for_one_note_and_names_no_function_or_limit() -> None:
    assert (list(Compact.input_fields), list(Compact.output_fields)) == (["task", "turns"], ["summary"])
    assert len(Compact.instructions) < 1_500
    assert not re.search(r"\w\(|\bllm_query|\bSUBMIT\b|\bpredict\b|\d", Compact.instructions)
