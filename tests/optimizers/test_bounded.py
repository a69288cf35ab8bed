"""No stock optimizer puts the data of an input type into a prompt or a saved file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from rlm_module import RLM
from rlm_module.signatures import ChatHistory, Directory, Documents, SandboxInput, Table, Text
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, fields, texts, turn

_MEGABYTE = "needle in hay\n" * 75_000
_PROMPT_CHARS = 40_000  # of which the source of RLM, that some of them show, is the most
_LARGE: dict[str, Callable[[], SandboxInput]] = {
    "Text": lambda: Text(_MEGABYTE),
    "Documents": lambda: Documents({"hay.txt": _MEGABYTE, **{f"{number}.txt": "small" for number in range(3_000)}}),
    "Directory": lambda: Directory({"src/hay.py": _MEGABYTE}),
    "ChatHistory": lambda: ChatHistory([[{"role": "user", "content": _MEGABYTE}]]),
    "Table": lambda: Table([{"text": _MEGABYTE, **{f"column {number}": number for number in range(300)}}]),
}
large_inputs = pytest.mark.parametrize("value", [make() for make in _LARGE.values()], ids=list(_LARGE))


def _score(gold: dspy.Example, prediction: Any, *_: Any) -> float:
    return float(gold.answer == prediction.answer)


class _LM(ScriptedLM):
    """Submits x and y by turns where it is sampled, and x where not; gives the same advice to whoever asks."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self._runs = 0

    def _answer(self, request: Request) -> str:
        system = texts(request)[0][1]
        if "`code`" in system:
            self._runs += request.config.temperature == 1
            return turn(f"SUBMIT(answer={'xy'[self._runs // 2 % 2]!r})")
        wanted = re.findall(r"^\d+\. `(\w+)`", system.partition("Your output fields are:")[2], re.MULTILINE)
        replies = {name: '{"generate_action": "Be quick."}' if "advice" in name else "Be quick." for name in wanted}
        return json.dumps(replies) if "JSON object" in system else fields(**replies)

    def longest(self) -> int:
        """The characters of the longest request."""
        return max(sum(len(text) for _, text in texts(request)) for request in self.requests)

    def was_asked_to_improve(self) -> bool:
        """Whether an optimizer asked it anything."""
        return any("`code`" not in texts(request)[0][1] for request in self.requests)


def _train(value: Any) -> list[dspy.Example]:
    return [
        dspy.Example(data=value, question=str(number), answer="y" if number else "x").with_inputs("data", "question")
        for number in range(2)
    ]


def _mipro(rlm: RLM, train: list[dspy.Example], lm: _LM) -> Any:
    optimizer = dspy.MIPROv2(metric=_score, auto=None, num_candidates=2, num_threads=1)
    return optimizer.compile(rlm, trainset=train, valset=train, num_trials=1, minibatch=False)


def _simba(rlm: RLM, train: list[dspy.Example], lm: _LM) -> Any:
    optimizer = dspy.SIMBA(metric=_score, bsize=2, num_candidates=2, max_steps=1, max_demos=0, num_threads=1)
    return optimizer.compile(rlm, trainset=train)


def _gepa(rlm: RLM, train: list[dspy.Example], lm: _LM) -> Any:
    def propose(candidate: Any, reflective_dataset: Any, components_to_update: Any) -> dict[str, str]:
        return {
            name: lm(f"{reflective_dataset}\n{json.dumps(reflective_dataset, default=str)}")[0] for name in candidate
        }

    options: dict[str, Any] = {"max_metric_calls": 8, "num_threads": 1}
    own, theirs = (
        dspy.GEPA(metric=_score, reflection_lm=lm, instruction_proposer=proposer, **options)
        for proposer in (propose, None)
    )
    return theirs.compile(own.compile(rlm, trainset=train), trainset=train)


def _refine(rlm: RLM, train: list[dspy.Example], lm: _LM) -> Any:
    refined = dspy.Refine(rlm, N=2, reward_fn=lambda inputs, prediction: 0.0, threshold=1.0)
    refined(**train[0].inputs())
    return refined


def _bootstrap(rlm: RLM, train: list[dspy.Example], lm: _LM) -> Any:
    return dspy.BootstrapFewShot(metric=_score).compile(rlm, trainset=train)


@pytest.mark.parametrize("compile_", [_mipro, _simba, _gepa, _refine, _bootstrap], ids=lambda arm: arm.__name__[1:])
@large_inputs
def test_prompts_and_state_are_small(value: SandboxInput, compile_: Callable[..., Any]) -> None:
    lm = _LM()
    with dspy.context(lm=lm, trace=[]):
        compiled = compile_(RLM("data, question -> answer", interpreter_factory=FakeInterpreter), _train(value), lm)
    assert lm.longest() < _PROMPT_CHARS
    assert lm.was_asked_to_improve() == (compile_ is not _bootstrap)
    assert len(json.dumps(compiled.dump_state())) < _PROMPT_CHARS


def test_a_plain_str_is_printed_whole() -> None:
    """By dspy, which is why there is `Text`."""
    lm = _LM()
    with dspy.context(lm=lm):
        _mipro(RLM("data, question -> answer", interpreter_factory=FakeInterpreter), _train(_MEGABYTE), lm)
    assert lm.longest() > len(_MEGABYTE)


@large_inputs
def test_saved_demos_of_dspys_own_predictors_are_small(value: SandboxInput, tmp_path: Path) -> None:
    made: Any = dspy.LabeledFewShot(k=2).compile(dspy.Predict("data, question -> answer"), trainset=_train(value))
    fresh = dspy.Predict("data, question -> answer")
    made.save(tmp_path / "predict.json")
    fresh.load(tmp_path / "predict.json")
    assert (tmp_path / "predict.json").stat().st_size < 10_000
    lm = ScriptedLM([fields(answer="x")])
    with dspy.context(lm=lm):
        fresh(data=value, question="2")
    assert sum(len(text) for _, text in texts(lm.requests[0])) < 10_000
    assert repr(value)[:20] in texts(lm.requests[0])[1][1]
