"""What stock optimizers freeze is lost when it is saved as a part of a program, and thawing brings it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest

import rlm_module
from rlm_module import RLM, optimizers, thaw
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, turn

_TRAIN = [dspy.Example(q=str(number), answer=str(number)).with_inputs("q") for number in range(2)]


class Program(dspy.Module):
    def __init__(self, reader: dspy.Module) -> None:
        super().__init__()
        self.reader = reader
        self.check = dspy.Predict("answer -> verdict")


class Nest(dspy.Module):
    """Modules in lists and dicts, and one in another."""

    def __init__(self, *parts: dspy.Module) -> None:
        super().__init__()
        self.parts = [Program(part) for part in parts[:1]]
        self.named = {"last": parts[-1]}


def _rlm() -> RLM:
    return RLM("q -> answer", interpreter_factory=FakeInterpreter)


def _compiled() -> Any:
    """An RLM as dspy's optimizer returns it: with demos, and frozen."""
    optimizer = dspy.BootstrapFewShot(metric=lambda gold, prediction, trace=None: gold.answer == prediction.answer)
    with dspy.context(lm=ScriptedLM(lambda request: turn("SUBMIT(answer=q)"))):
        return optimizer.compile(_rlm(), trainset=_TRAIN)


def test_a_frozen_rlm_saves_itself(tmp_path: Path) -> None:
    compiled, fresh = _compiled(), _rlm()
    compiled.save(tmp_path / "rlm.json")
    fresh.load(tmp_path / "rlm.json")
    assert fresh.dump_state() == compiled.dump_state()
    assert fresh.generate_action.demos


def test_without_thawing_a_program_loses_what_was_learned(tmp_path: Path) -> None:
    program = Program(_compiled())
    program.save(tmp_path / "program.json")
    assert set(json.loads((tmp_path / "program.json").read_text())) == {"check", "metadata"}


def test_thawed_it_is_saved_and_loaded(tmp_path: Path) -> None:
    compiled = _compiled()
    program, fresh = thaw(Program(compiled)), Program(_rlm())
    program.save(tmp_path / "program.json")
    fresh.load(tmp_path / "program.json")
    assert fresh.dump_state()["reader.generate_action"] == compiled.dump_state()["generate_action"]
    assert compiled.dump_state()["generate_action"]["demos"]


def test_thawed_it_is_compiled_further() -> None:
    program: Any = Program(_compiled())
    lm = ScriptedLM()
    program.set_lm(lm)
    assert program.reader.generate_action.lm is None  # frozen, so it is passed by
    thaw(program).set_lm(lm)
    assert program.reader.generate_action.lm is lm
    assert "reader.generate_action" in dict(program.named_predictors())


@pytest.mark.parametrize("depth", ["in a list", "in a dict"])
def test_it_reaches_modules_that_are_nested(depth: str) -> None:
    parts = [_compiled(), _rlm()] if depth == "in a list" else [_rlm(), _compiled()]
    nest = Nest(*parts)
    name = "parts[0].reader" if depth == "in a list" else "named['last']"
    assert f"{name}.generate_action" not in nest.dump_state()
    assert thaw(nest).dump_state()[f"{name}.generate_action"]["demos"]


def test_members_of_an_ensemble_are_saved_one_by_one(tmp_path: Path) -> None:
    members = [_compiled(), _compiled()]
    ensemble = dspy.Ensemble(reduce_fn=None).compile(members)
    assert ensemble.dump_state() == {}
    thaw(ensemble).save(tmp_path / "all.json")
    members[1].save(tmp_path / "second.json")
    saved, second = (json.loads((tmp_path / name).read_text()) for name in ("all.json", "second.json"))
    assert saved["programs[1].generate_action"] == second["generate_action"]
    assert second["generate_action"]["demos"]


def test_a_whole_program_that_was_saved_frozen_is_mended_after_loading(tmp_path: Path) -> None:
    Program(_compiled()).save(tmp_path / "program", save_program=True)
    loaded: Any = dspy.load(str(tmp_path / "program"), allow_pickle=True)
    assert set(loaded.dump_state()) == {"check"}
    assert thaw(loaded).dump_state()["reader.generate_action"]["demos"]


def test_it_mends_in_place_and_returns_the_same_program() -> None:
    program = Program(_compiled())
    assert thaw(program) is program
    assert rlm_module.thaw is optimizers.thaw
