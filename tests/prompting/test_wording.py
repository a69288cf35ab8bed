"""Learned texts beside the strategy: what the model and its sub-LMs are told, and what is saved of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import RLM, InputError
from rlm_module.prompting.wording import Wording
from tests.scripted import ScriptedLM, fields, said, texts, turn


def lookup(word: str) -> str:
    """Finds a word."""
    return word


def _rlm(**wording: Any) -> RLM:
    rlm = RLM("q -> answer", tools=[lookup])
    rlm.wording = Wording(**wording)
    return rlm


def _requests(rlm: RLM, code: str, reply: str = "four") -> list[str]:
    """What the root and the sub-LMs are asked in a run of one cell."""
    lm = ScriptedLM([turn(code), reply])
    with dspy.context(lm=lm):
        rlm(q="text")
    return ["\n".join(text for _, text in texts(request)) for request in lm.requests]


def test_a_learned_description_stands_in_place_of_the_tools_own() -> None:
    root, *_ = _requests(_rlm(tools={"lookup": "Finds exact words only."}), "SUBMIT(answer='x')")
    assert "- `lookup(word: str)`: Finds exact words only." in root
    assert "Finds a word." not in root


def test_descriptions_of_absent_tools_are_not_told() -> None:
    root, *_ = _requests(_rlm(tools={"browse": "Opens a page."}), "SUBMIT(answer='x')")
    assert "Opens a page." not in root
    assert "Finds a word." in root


def test_sub_lms_are_told_what_was_learned_before_the_prompt() -> None:
    _, sub = _requests(_rlm(sub_calls="Count aloud."), "SUBMIT(answer=llm_query('How many?'))")
    assert sub.endswith("Count aloud.\n\nHow many?")


def test_typed_sub_calls_are_told_it_too() -> None:
    code = "SUBMIT(answer=str(predict('text -> number: int', text='a b c d').number))"
    _, sub = _requests(_rlm(sub_calls="Count aloud."), code, fields(number=4))
    assert "Count aloud." in sub


def test_without_learned_texts_a_prompt_goes_out_word_for_word() -> None:
    lm = ScriptedLM([turn("SUBMIT(answer=llm_query('How many?'))"), "four"])
    with dspy.context(lm=lm):
        _rlm()(q="text")
    assert said(lm.requests[1]) == "How many?"


def test_a_saved_rlm_keeps_them_also_inside_of_a_program(tmp_path: Path) -> None:
    class Program(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.reader = RLM("q -> answer", tools=[lookup], max_iters=3)

    learned, other = Program(), Program()
    learned.reader.wording = Wording({"lookup": "Exact words."}, "Count aloud.")
    learned.save(tmp_path / "program.json")
    other.load(tmp_path / "program.json")
    assert other.reader.wording.tools == {"lookup": "Exact words."}
    assert other.reader.wording.sub_calls == "Count aloud."


def test_reset_forgets_them() -> None:
    rlm = _rlm(tools={"lookup": "Exact words."}, sub_calls="Count aloud.")
    assert not rlm.reset_copy().wording
    assert rlm.wording


@pytest.mark.parametrize("state", [{}, {"tools": {}}, {"tools": [], "sub_calls": ""}, {"tools": {}, "sub_calls": 3}])
def test_a_state_of_something_else_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="compile this program anew"):
        Wording().load_state(state)
