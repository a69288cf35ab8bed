"""`dspy.Refine` over RLMs: its advice arrives, and nothing else about a turn changes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import dspy
from dspy.lm15 import Request

from rlm_module import RLM
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, fields, texts, turn

_DEMO = {"request": "an old task", "reasoning": "I look.", "code": "print('old')"}


class Pair(dspy.Module):
    """Two RLMs, told apart by their tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.first = RLM("q -> a", interpreter_factory=FakeInterpreter)
        self.second = RLM("a -> b", interpreter_factory=FakeInterpreter)

    def forward(self, q: str) -> dspy.Prediction:
        return dspy.Prediction(answer=self.first(q=q).a + self.second(a="x").b)


def _rlm() -> RLM:
    rlm = RLM("q -> a", interpreter_factory=FakeInterpreter)
    rlm.generate_action.demos = [_DEMO]
    return rlm


def _lm(advice: dict[str, str], cell: str) -> ScriptedLM:
    """Advises, or writes the cell, with SHOUT for the word it submits where it was told to shout."""

    def answer(request: Request) -> str:
        system = texts(request)[0][1]
        if "`advice`" in system:
            return fields(discussion="It was too quiet.", advice=json.dumps(advice))
        name = re.findall(r"SUBMIT\((\w+): str\)", system)[-1]
        return turn(cell.format(name=name, word="SHOUT" if "Shout." in system else "whisper"))

    return ScriptedLM(answer)


def _refine(module: dspy.Module, lm: ScriptedLM, is_good: Callable[[Any], bool], **options: Any) -> Any:
    def reward(inputs: Any, prediction: Any) -> float:
        return float(is_good(prediction))

    with dspy.context(lm=lm, trace=[], **options):
        return dspy.Refine(module, N=2, reward_fn=reward, threshold=1.0)(q="x")


def _systems(lm: ScriptedLM) -> list[str]:
    return [system for request in lm.requests if "`code`" in (system := texts(request)[0][1])]


def test_its_advice_reaches_the_next_attempt() -> None:
    lm = _lm({"generate_action": "Shout.", "extract": "N/A"}, "SUBMIT({name}='{word}')")
    assert _refine(_rlm(), lm, lambda prediction: prediction.a == "SHOUT").a == "SHOUT"
    first, second = _systems(lm)
    assert "Shout." not in first
    assert "\n        Shout." in second
    assert len(lm.requests) == 3  # two turns, and the advice


def test_each_of_two_rlms_gets_its_own() -> None:
    lm = _lm({"first.generate_action": "N/A", "second.generate_action": "Shout."}, "SUBMIT({name}='{word}')")
    prediction = _refine(Pair(), lm, lambda prediction: "SHOUT" in prediction.answer)
    assert prediction.answer == "whisperSHOUT"


def test_code_and_demos_stay_as_they_are_with_advice() -> None:
    cell = "print('''\n[[ ## reasoning ## ]]\n''')\nSUBMIT({name}='{word}')"  # a header that dspy's parser would cut at
    lm = _lm({"generate_action": "Shout."}, cell)
    assert _refine(_rlm(), lm, lambda prediction: prediction.a == "SHOUT").a == "SHOUT"
    one, other = (texts(request)[1:] for request in (lm.requests[0], lm.requests[-1]))
    assert [role for role, _ in one] == ["user", "assistant", "user"]
    assert one == other


def test_the_configured_adapter_still_speaks() -> None:
    def answer(request: Request) -> str:
        system = texts(request)[0][1]
        if "`advice`" in system:
            return json.dumps({"discussion": "Too quiet.", "advice": {"generate_action": "Shout."}})
        word = "SHOUT" if "Shout." in system else "whisper"
        return json.dumps({"reasoning": "r", "code": f"SUBMIT(a='{word}')"})

    lm = ScriptedLM(answer)
    found = _refine(_rlm(), lm, lambda prediction: prediction.a == "SHOUT", adapter=dspy.JSONAdapter())
    assert found.a == "SHOUT"
    assert len(lm.requests) == 3


def test_advice_is_never_learned() -> None:
    rlm = _rlm()
    lm = _lm({"generate_action": "Shout."}, "SUBMIT({name}='{word}')")
    _refine(rlm, lm, lambda prediction: prediction.a == "SHOUT")
    assert "Shout." not in json.dumps(rlm.dump_state())
