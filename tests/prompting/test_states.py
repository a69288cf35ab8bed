"""States that do not fit an RLM: each is refused in one sentence, and nothing of it is taken over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import RLM, InputError


def _with(name: str, **changed: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {**state, name: {**state[name], **changed}}


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda state: dspy.Predict("q -> a").dump_state(), "lacks extract, generate_action, wording"),
        (lambda state: {f"reader.{name}": part for name, part in state.items()}, "holds reader.extract"),
        (lambda state: {name: part for name, part in state.items() if name != "wording"}, "lacks wording"),
        (lambda state: dspy.RLM("q -> a").dump_state(), "dspy.RLM"),
        (lambda state: {**state, "generate_action": None}, "its generate_action is a NoneType"),
        (lambda state: [1], "is a list"),
        (_with("generate_action", demos=None), "saved demos are not a list"),
        (_with("generate_action", demos="abc"), "saved demos are not a list"),
        (_with("generate_action", demos=[1]), "saved demos are not a list"),
        (_with("extract", demos=[1]), "saved demos are not a list"),
        (_with("generate_action", demos=[{"turns": 5}]), "saved demos are not a list"),
        (_with("generate_action", demos=[{"turns": [{"request": 1}]}]), "saved demos are not a list"),
        (_with("generate_action", instructions=5), "saved instructions are a int"),
        (_with("extract", instructions=None), "saved instructions are a NoneType"),
        (_with("extract", more=1), "another module"),
        (_with("wording", tools={"look": 5}), "no wording of an RLM"),
    ],
)
def test_a_state_that_does_not_fit_is_one_sentence(spoil: Callable[[dict[str, Any]], Any], fault: str) -> None:
    learned, rlm = RLM("c -> a"), RLM("c -> a")
    learned.generate_action.signature = learned.generate_action.signature.with_instructions("Look twice.")
    before = rlm.dump_state()
    with pytest.raises(InputError, match=fault):
        rlm.load_state(spoil(json.loads(json.dumps(learned.dump_state()))))
    assert rlm.dump_state() == before


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{no", "is no JSON"),
        ("[1]", "does not say which versions"),
        ("{}", "does not say which versions"),
        ('{"metadata": {"dependency_versions": 5}}', "does not say which versions"),
    ],
)
def test_a_file_that_save_did_not_write_is_one_sentence(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=fault):
        RLM("c -> a").load(tmp_path / "x.json")


def test_a_turn_that_a_stock_optimizer_gathered_is_loaded() -> None:
    state: Any = RLM("c -> a").dump_state()
    turn = {"request": "r", "reasoning": "y", "code": "SUBMIT(a='1')"}
    state["generate_action"]["demos"] = [turn]
    rlm = RLM("c -> a")
    rlm.load_state(state)
    assert rlm.generate_action.demos == [turn]
