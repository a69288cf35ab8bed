"""DSPy's own optimizers on programs with RLMs: what comes out works, is whole, and can be saved for other limits.

The report ends with these tests as a table; see `tests/optimizers/table.py`.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import RLM
from tests.fake_interpreter import FakeInterpreter
from tests.optimizers.arms import ARMS, SUBJECTS, Arm, Subject, compiled
from tests.optimizers.shop import DEMO, PAIRS, ShopLM, example, is_right, limits_told, rlms_of, told
from tests.scripted import texts

_CELLS = [pytest.param(arm, subject, id=f"{arm.name}-{subject.name}") for arm in ARMS for subject in SUBJECTS]
for_each_optimizer = pytest.mark.parametrize(("arm", "subject"), _CELLS)


def _solves(program: dspy.Module, subject: Subject, interpreter: Any = FakeInterpreter) -> tuple[bool, ShopLM]:
    """Whether it solves the order with pairs, and the LM that it asked.

    What is compiled is run in sandboxes, once. What else is looked at, such as a state that was loaded, is the same in
    this process, where a run takes a twentieth of the time.
    """
    gold, lm = example(PAIRS, is_letter=subject.is_letter), ShopLM()
    with dspy.context(lm=lm, trace=[], interpreter_factory=interpreter):
        return is_right(gold, program(**gold.inputs())), lm


@functools.cache
def _solved(arm: Arm, subject: Subject) -> tuple[bool, ShopLM]:
    return _solves(compiled(arm, subject), subject, arm.interpreter)


def _requests(lm: ShopLM, rlm: RLM) -> list[list[tuple[str, str]]]:
    """What the LM was asked as the root of that RLM."""
    found = [texts(request) for request in lm.requests]
    (output,) = rlm.signature.output_fields
    return [said for said in found if "`code`" in said[0][1] and f"SUBMIT({output}: int)" in said[0][1]]


def _demo_turns(rlm: RLM) -> list[dict[str, str]]:
    return [turn for demo in rlm.dump_state()["generate_action"]["demos"] for turn in demo["turns"]]


@for_each_optimizer
def test_runs(arm: Arm, subject: Subject) -> None:
    assert _solved(arm, subject)[0]
    if arm.gathers_demos:
        assert all(_demo_turns(rlm) for rlm in rlms_of(compiled(arm, subject)))


@for_each_optimizer
def test_contract_intact(arm: Arm, subject: Subject) -> None:
    lm = _solved(arm, subject)[1]
    for rlm in rlms_of(compiled(arm, subject)):
        for said in _requests(lm, rlm):
            assert [part for part in told(rlm) if said[0][1].count(part) != 1] == []
        stored = [rlm.generate_action.signature.instructions, rlm.extract.signature.instructions]
        assert [part for part in told(rlm) for text in stored if part in text] == []


@for_each_optimizer
def test_saved_state_portable(arm: Arm, subject: Subject, tmp_path: Path) -> None:
    program, other = compiled(arm, subject), arm.other(subject)
    own_limits = limits_told(rlms_of(program)[0])
    program.save(tmp_path / "program.json")
    other.load(tmp_path / "program.json")
    saved = (tmp_path / "program.json").read_text()
    assert own_limits not in saved
    assert "[Turn" not in saved
    assert len(saved) < 20_000
    assert other.dump_state() == program.dump_state()
    solved, lm = _solves(other, subject)
    assert solved
    for rlm in rlms_of(other):
        assert all(part in said[0][1] for said in _requests(lm, rlm) for part in told(rlm))
        assert all(own_limits not in text for said in _requests(lm, rlm) for _, text in said)
    for number, (rlm, fresh) in enumerate(zip(rlms_of(program), rlms_of(arm.other(subject)), strict=True)):
        rlm.save(tmp_path / f"{number}.json")
        fresh.load(tmp_path / f"{number}.json")
        assert fresh.dump_state() == rlm.dump_state()


@for_each_optimizer
def test_demos_render(arm: Arm, subject: Subject) -> None:
    program, lm = compiled(arm, subject), _solved(arm, subject)[1]
    if not all(_demo_turns(rlm) for rlm in rlms_of(program)):
        program = program.deepcopy()
        for rlm in rlms_of(program):
            rlm.generate_action.demos += [dspy.Example(augmented=True, **DEMO)]
        lm = _solves(program, subject)[1]
    for rlm in rlms_of(program):
        begun = [said[1:] for said in _requests(lm, rlm) if "Inputs, as variables of the REPL:" in said[-1][1]]
        assert _demo_turns(rlm)
        assert any(_shows(said, _demo_turns(rlm)) for said in begun)


def _shows(said: list[tuple[str, str]], turns: list[dict[str, str]]) -> bool:
    """Whether a conversation is these turns, and one request more."""
    if [role for role, _ in said] != ["user", "assistant"] * len(turns) + ["user"]:
        return False
    spoken = zip(turns, said[::2], said[1::2], strict=False)
    return all(turn["request"] in asked and turn["code"] in reply for turn, (_, asked), (_, reply) in spoken)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_members_of_an_ensemble_are_saved_one_by_one(subject: Subject, tmp_path: Path) -> None:
    (arm,) = (arm for arm in ARMS if arm.name == "Ensemble")
    ensemble: Any = compiled(arm, subject)
    for number, member in enumerate(ensemble.programs):
        fresh = subject.make(other=True)
        member.save(tmp_path / f"{number}.json")
        fresh.load(tmp_path / f"{number}.json")
        assert fresh.dump_state() == member.dump_state()
        assert _solves(fresh, subject)[0]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_the_task_shows_a_loss_of_the_contract(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the table would say nothing."""
    (arm,) = (arm for arm in ARMS if arm.name == "COPRO")
    program = compiled(arm, subject)
    monkeypatch.setattr("rlm_module.prompting.contract.Contract.text", lambda self: "")
    assert not _solves(program, subject)[0]


def test_no_demo_holds_what_it_should_not() -> None:
    (arm,) = (arm for arm in ARMS if arm.name == "BootstrapFewShot")
    state = json.dumps(compiled(arm, SUBJECTS[0]).dump_state())
    assert "augmented" not in state
    assert "history" not in state
