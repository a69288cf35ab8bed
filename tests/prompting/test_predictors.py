from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import dspy
import pytest
from dspy.signatures import make_signature

from rlm_module import RLM, InputError
from rlm_module.prompting.predictors import ActPredict
from rlm_module.signatures import act_signature, task_mark
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, texts, turn

_TURNS = [
    {"request": "old task", "reasoning": "look", "code": "print(1)"},
    {"request": "1", "reasoning": "done", "code": "SUBMIT(answer=1)"},
]


def _rlm(signature: Any = "context, query -> answer", **options: Any) -> RLM:
    return RLM(signature, interpreter_factory=FakeInterpreter, **options)


def test_the_stored_instructions_are_strategy_only() -> None:
    rlm = _rlm(max_llm_calls=37, max_iters=19, tools=[lambda_tool])
    stored = json.dumps(rlm.dump_state())
    assert "37" not in stored
    assert "SUBMIT(" not in stored
    assert "lambda_tool" not in stored


def lambda_tool(x: int) -> int:
    return x


def test_state_holds_instructions_and_demos_and_nothing_else() -> None:
    rlm = _rlm()
    rlm.set_lm(ScriptedLM())
    rlm.generate_action.demos = [dspy.Example(**_TURNS[0])]
    assert rlm.dump_state()["generate_action"] == {
        "instructions": rlm.generate_action.signature.instructions,
        "demos": [{"turns": [_TURNS[0]]}],
    }


def test_a_demo_with_history_is_stored_as_the_turns_it_is() -> None:
    rlm = _rlm()
    demo = dspy.Example(history=dspy.History(messages=[_TURNS[0]]), augmented=True, **_TURNS[1])
    labelled = dspy.Example(context="secret", query="q", answer="a")
    rlm.generate_action.demos = [demo, labelled]
    assert rlm.dump_state()["generate_action"]["demos"] == [{"turns": _TURNS}]


def test_saving_and_loading_brings_back_what_was_learned(tmp_path: Path) -> None:
    learned = _rlm(max_llm_calls=50)
    learned.generate_action.signature = learned.generate_action.signature.with_instructions("Be quick.")
    learned.generate_action.demos = list(_TURNS)
    learned.save(tmp_path / "state.json")
    fresh = _rlm(max_llm_calls=7)
    fresh.load(tmp_path / "state.json")
    lm = ScriptedLM([turn("SUBMIT(answer='x')")])
    with dspy.context(lm=lm):
        fresh(context="c", query="q")
    sent = texts(lm.requests[0])
    assert "Be quick." in sent[0][1]
    assert "7 sub-LM calls" in sent[0][1]
    assert [role for role, _ in sent] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "old task" in sent[1][1]
    assert "print(1)" in sent[2][1]


def test_demos_are_written_as_the_turns_of_the_run_are() -> None:
    rlm = _rlm()
    rlm.generate_action.demos = [{"request": "r", "reasoning": "Go on.", "code": "x = 1"}]
    lm = ScriptedLM([turn("x = 1"), turn("SUBMIT(answer='x')")])
    with dspy.context(lm=lm):
        rlm(context="c", query="q")
    sent = texts(lm.requests[1])
    assert sent[2] == sent[4]
    assert sent[1][1].partition("\n\n")[2] == sent[5][1].rpartition("]\n\n")[2]


def test_a_state_file_of_dspy_rlm_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    dspy.RLM("context, query -> answer").save(tmp_path / "theirs.json")
    rlm = _rlm()
    before = rlm.dump_state()
    with pytest.raises(InputError, match=r"such as dspy.RLM's, .* compile this program anew"):
        rlm.load(tmp_path / "theirs.json")
    assert rlm.dump_state() == before


def test_two_rlms_of_one_program_are_told_apart() -> None:
    first, second, same = (ActPredict(act_signature(make_signature(text))) for text in ("a -> b", "c -> d", "a -> b"))
    assert not first.signature.equals(second.signature)
    assert first.signature.equals(same.signature)


def test_the_mark_survives_new_instructions_and_loading() -> None:
    predict = ActPredict(act_signature(make_signature("a -> b")))
    predict.load_state({"instructions": "New.", "demos": []})
    extra: Any = predict.signature.input_fields["request"].json_schema_extra
    assert extra["task"] == task_mark(make_signature("a -> b"))


@pytest.mark.parametrize("library", [pickle, cloudpickle], ids=lambda module: module.__name__)
def test_a_program_with_a_string_signature_can_be_pickled(library: Any) -> None:
    rlm = RLM("context: list[str], query -> answer: int, why: str", max_iters=3, tools=[lambda_tool])
    copied = library.loads(library.dumps(rlm))
    assert copied.signature.equals(rlm.signature)
    assert copied.signature.output_fields["answer"].annotation is int
    assert copied.signature.input_fields["context"].annotation == list[str]
    assert copied.generate_action.signature.equals(rlm.generate_action.signature)
    assert (copied.max_iters, list(copied.tools)) == (3, ["lambda_tool"])


def test_a_whole_program_can_be_saved_and_loaded(tmp_path: Path) -> None:
    _rlm().save(tmp_path / "program", save_program=True)
    loaded = dspy.load(str(tmp_path / "program"), allow_pickle=True)
    with dspy.context(lm=ScriptedLM([turn("SUBMIT(answer='x')")])):
        assert loaded(context="c", query="q").answer == "x"


def test_reset_copy_forgets_demos() -> None:
    rlm = _rlm()
    rlm.generate_action.demos = list(_TURNS)
    copied: Any = rlm.reset_copy()
    assert copied.generate_action.demos == []
    assert rlm.generate_action.demos == _TURNS


def test_the_traces_inputs_hold_the_runs_own_turns_without_demos() -> None:
    rlm = _rlm()
    rlm.generate_action.demos = list(_TURNS)
    with dspy.context(lm=ScriptedLM([turn("x = 1"), turn("SUBMIT(answer='x')")]), trace=[]):
        rlm(context="c", query="q")
        trace = dspy.settings.trace
    assert [predictor for predictor, _, _ in trace] == [rlm.generate_action] * 2
    assert len(trace[1][1]["history"].messages) == 1
    assert trace[1][2].code == "SUBMIT(answer='x')"
