"""Examples of `rlm optimize`: what of them is input, how a file is divided, and what is wrong with one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module import RLM, InputError
from rlm_module.cli.examples import read_examples, split


class _Named(dspy.Module):
    def forward(self, question: str, hint: str = "") -> dspy.Prediction:
        return dspy.Prediction(answer=question + hint)


class _Open(dspy.Module):
    def forward(self, **inputs: Any) -> dspy.Prediction:
        return dspy.Prediction(**inputs)


def _file(folder: Path, *lines: object) -> Path:
    path = folder / "data.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


@pytest.mark.parametrize(
    ("program", "inputs"),
    [
        (RLM("question, hint -> answer"), {"question", "hint"}),
        (dspy.Predict("question, hint -> answer"), {"question", "hint"}),
        (_Named(), {"question", "hint"}),
    ],
)
def test_inputs_are_what_the_program_takes(tmp_path: Path, program: dspy.Module, inputs: set[str]) -> None:
    (example,) = read_examples(_file(tmp_path, {"question": "?", "hint": "", "answer": "!"}, ""), program)
    assert set(example.inputs().keys()) == inputs
    assert set(example.labels().keys()) == {"answer"}


def test_a_program_that_takes_anything_needs_the_names_of_its_inputs(tmp_path: Path) -> None:
    path = _file(tmp_path, {"question": "?", "answer": "!"})
    with pytest.raises(InputError, match="--inputs"):
        read_examples(path, _Open())
    (example,) = read_examples(path, _Open(), ["question"])
    assert set(example.inputs().keys()) == {"question"}


def test_a_text_may_hold_the_ends_of_lines_that_unicode_knows(tmp_path: Path) -> None:
    text = "one\u2028two\u2029three\x85four"
    path = _file(tmp_path, json.dumps({"question": text}, ensure_ascii=False), '{"question": "?"}\r')
    assert [example.question for example in read_examples(path, _Named())] == [text, "?"]


def test_a_column_may_have_any_name(tmp_path: Path) -> None:
    (example,) = read_examples(_file(tmp_path, {"question": "?", "self": 1, "base": "b", "cls": 3}), _Named())
    assert dict(example.items()) == {"question": "?", "self": 1, "base": "b", "cls": 3}
    assert set(example.inputs().keys()) == {"question"}


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["", " "], "holds no examples"),
        (["{"], "line 1 is no JSON"),
        ([{"question": "?"}, "[1]"], "line 2 is no object"),
        ([{"answer": "!"}], "line 1 lacks the program's input question"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, lines: list[object], fault: str) -> None:
    with pytest.raises(InputError, match=re.escape(fault)):
        read_examples(_file(tmp_path, *lines), _Named())


def test_a_file_that_is_missing_or_no_text_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_examples(tmp_path / "missing.jsonl", _Named())
    (tmp_path / "data.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="no UTF-8"):
        read_examples(tmp_path / "data.jsonl", _Named())


def _examples(count: int, start: int = 0) -> list[dspy.Example]:
    return [dspy.Example(question=str(number)) for number in range(start, start + count)]


@given(st.integers(3, 60), st.integers(), st.booleans(), st.booleans())
def test_every_example_is_in_one_part_and_none_is_lost(count: int, seed: int, validated: bool, held: bool) -> None:
    own, kept = _examples(3, 100), _examples(3, 200)
    parts = split(_examples(count), own if validated else None, kept if held else None, seed)
    everything = [*parts.train, *parts.validation, *parts.held_out]
    given_ones = [*_examples(count), *(own if validated else []), *(kept if held else [])]
    assert sorted(int(one.question) for one in everything) == sorted(int(one.question) for one in given_ones)
    assert parts.train
    assert parts.validation
    again = split(_examples(count), own if validated else None, kept if held else None, seed)
    assert [one.question for one in again.train] == [one.question for one in parts.train]


def test_too_few_to_divide_is_one_sentence() -> None:
    with pytest.raises(InputError, match="--validation"):
        split(_examples(2), None, None, 0)
