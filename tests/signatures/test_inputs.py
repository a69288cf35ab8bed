"""What the input types share: conversion, bounded summaries, and the way into a sandbox."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import time
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.adapters.utils import serialize_for_json
from dspy.teleprompt.simba_utils import recursive_mask
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_jsonable_python

from rlm_module import RLM, InputError, OfflineLM, Sandbox
from rlm_module.prompting.previews import describe_input, one_line
from rlm_module.sandbox.codec import decode, encode
from rlm_module.sandbox.memory import need
from rlm_module.signatures import ChatHistory, ChatQA, CitedQA, Directory, Documents, SandboxInput, Table, Text
from tests.scripted import ScriptedLM, fields
from tests.signatures.runs import outputs, play, play_asked

_TEXTS = st.text(max_size=5_000)
_NAMES = st.text(max_size=3_000)
_FIELD = CitedQA.input_fields["documents"]
_BOUND = 2_500


def _large() -> list[SandboxInput]:
    text = "needle in hay\n" * 750_000
    return [
        Documents({"large.txt": text, **{f"{number}.txt": "small" for number in range(5_000)}}),
        Directory({"src/large.py": text, **{f"src/{number}.py": "small" for number in range(5_000)}}),
        ChatHistory(
            [[{"role": "user", "content": text}], *([{"role": "user", "content": "hi"}] for _ in range(5_000))]
        ),
        Table([{"text": text, **{f"column {number}": number for number in range(500)}}, {"text": "small"}]),
        Text(text),
    ]


LARGE = _large()


@pytest.mark.parametrize("value", LARGE, ids=lambda value: type(value).__name__)
def test_ten_megabytes_never_get_into_a_repr_or_json(value: SandboxInput) -> None:
    example = dspy.Example(data=value, answer="x").with_inputs("data")
    began = time.perf_counter()
    shown = [
        repr(value),
        str([value]),
        repr(example),
        json.dumps(value.model_dump()),
        value.model_dump_json(),
        json.dumps(to_jsonable_python(value)),
        str(serialize_for_json({"data": value})),
        str(recursive_mask(dict(example.inputs()))),
        str(example.toDict()),
        value.rlm_preview(),
        describe_input("data", value, _FIELD),
        one_line(value),
    ]
    assert max(map(len, shown)) < _BOUND
    assert time.perf_counter() - began < 2
    assert hash(example) == hash(copy.copy(example))


@pytest.mark.parametrize("value", LARGE, ids=lambda value: type(value).__name__)
def test_pickle_and_copies_keep_all_of_the_data(value: SandboxInput) -> None:
    again = pickle.loads(pickle.dumps(value))
    assert again == value
    assert again.sandbox_value() == value.sandbox_value()
    assert copy.deepcopy(value) == value


@pytest.mark.parametrize("value", LARGE, ids=lambda value: type(value).__name__)
def test_they_cross_and_what_crossed_makes_them_again(value: SandboxInput) -> None:
    crossed = decode(encode(value))
    assert need(value) >= 2 * 10_500_000
    made: Any = type(value)
    assert made(crossed).sandbox_value() == value.sandbox_value()
    assert decode(encode({"nested": [value]}))["nested"][0] == crossed


def _fits(value: SandboxInput) -> bool:
    shown = (repr(value), value.rlm_preview(), describe_input("data", value, _FIELD), one_line(value))
    return max(map(len, shown)) < _BOUND and len(value.rlm_preview(300)) <= 300


@given(st.dictionaries(_NAMES, _TEXTS, max_size=30))
def test_documents_and_folders_of_any_texts_have_a_bounded_preview(texts: dict[str, str]) -> None:
    assert _fits(Documents(texts))
    assert _fits(Directory(texts))


@given(st.lists(st.dictionaries(_NAMES, _TEXTS | st.integers() | st.floats() | st.lists(_TEXTS) | st.none())))
def test_tables_of_any_rows_have_a_bounded_preview(rows: list[dict[str, Any]]) -> None:
    assert _fits(Table(rows))


@given(st.lists(st.lists(st.fixed_dictionaries({"role": _NAMES, "content": _TEXTS | st.none()}))))
def test_histories_of_any_messages_have_a_bounded_preview(sessions: list[Any]) -> None:
    assert _fits(ChatHistory(sessions))


def test_fences_of_a_preview_outlast_those_in_it() -> None:
    shown = describe_input("data", Documents("```` not the end\n"), _FIELD)
    assert shown.endswith("\n`````")


def test_a_prompt_gets_the_summary_where_no_sandbox_takes_the_data() -> None:
    lm = ScriptedLM([fields(answer="x", citations="[]")])
    with dspy.context(lm=lm):
        dspy.Predict(CitedQA)(documents=Documents("x" * 1_000_000), question="?")
    assert len(str(lm.requests[0])) < 10_000


def test_in_the_sandbox_they_are_plain_python_that_code_may_change() -> None:
    documents = Documents({"a": "one"})
    cells = (
        "documents['b'] = 'two'\nsorted(documents.items())",
        "type(documents).__name__, sorted(documents)",
        "SUBMIT(answer=None, citations=[])",
    )
    prediction = play(CitedQA, *cells, documents=documents, question="?")
    assert outputs(prediction)[:2] == ["[('a', 'one'), ('b', 'two')]", "('dict', ['a', 'b'])"]
    assert documents.texts() == {"a": "one"}


def test_the_request_tells_how_a_history_is_laid_out() -> None:
    cell = "turn = history[0].turns[0]\nprint(turn.text, turn['role'], history[0].timestamp)"
    history = [{"id": "s", "timestamp": "2024-01-05", "turns": [{"role": "user", "content": "Hello."}]}]
    prediction, request = play_asked(ChatQA, cell, "SUBMIT(answer=None, evidence=[])", history=history, question="?")
    assert "- `history` (ChatHistory, 1 sessions)" in request
    assert "a turn has `role`, `text` and `timestamp`" in request
    assert outputs(prediction)[0] == "Hello. user 2024-01-05 00:00:00"


class Ask(dspy.Signature):
    """Answer the question."""

    folder: Directory = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


def test_a_model_without_a_key_reads_them_in_an_awaited_run(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The launch code is MAGNOLIA-7.\n")
    (tmp_path / "b.txt").write_text("Nothing to see.\n")
    with dspy.context(lm=OfflineLM()):
        prediction = asyncio.run(RLM(Ask).acall(folder=tmp_path, question="What is the launch code?"))
    assert prediction.answer == "MAGNOLIA-7"


def test_dspys_own_rlm_takes_them_too() -> None:
    replies = [
        fields(reasoning="r", code="print(history[0]['turns'][0]['text'], history[0]['timestamp'])"),
        fields(reasoning="r", code="SUBMIT(answer=None, evidence=[])"),
    ]
    history = ChatHistory([{"timestamp": "2024-01-05", "turns": [{"role": "user", "content": "Hello."}]}])
    lm = ScriptedLM(replies)
    with dspy.context(lm=lm):
        prediction = dspy.RLM(ChatQA, interpreter_factory=Sandbox)(history=history, question="?", as_of=None)
    assert "Hello. 2024-01-05T00:00:00" in str(prediction.trajectory[0])


def test_what_cannot_be_converted_is_refused_before_anything_is_paid(tmp_path: Path) -> None:
    lm = ScriptedLM([])
    with dspy.context(lm=lm), pytest.raises(InputError, match=r"texts by name, not int; pass a dict"):
        RLM(CitedQA)(documents=3, question="?")
    with pytest.raises(InputError, match="is no folder"):
        Directory(tmp_path / "nothing")
    assert lm.requests == []
