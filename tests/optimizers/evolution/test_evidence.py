"""What speaks against a part of a program, by the words of a feedback and by how its runs went."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dspy
import pytest

from rlm_module import RLM
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.evidence import Evidence
from rlm_module.optimizers.evolution.rollouts import Rollout
from rlm_module.optimizers.trajectories.diagnosis import Diagnosis
from rlm_module.optimizers.trajectories.records import RunRecord

FINE = Diagnosis(3, 0, 0, 0, 0, 1, 0, None, "submitted", False, 0.01, 100, 1.0)
OWNERS = ("reader", "steps[0]", "steps[1]", "named['first one']", "check", "judge.predict")


class ReadNotes(dspy.Signature):
    page: str = dspy.InputField()
    notes: str = dspy.OutputField()


def _evidence() -> Evidence:
    program: Any = dspy.Module()
    program.reader = RLM(ReadNotes)
    program.steps = [RLM("topic -> finding"), RLM("topic -> doubt")]
    program.named = {"first one": RLM("topic -> place")}
    program.check = dspy.Predict("finding -> verdict")
    program.judge = dspy.ChainOfThought("verdict -> fine")
    return Evidence(Components(program), program)


def _meant(feedback: str, **more: Any) -> set[str]:
    """Those that a feedback speaks against."""
    evidence, rollout = _evidence(), Rollout(score=0.0, feedback=feedback, **more)
    return {owner for owner in OWNERS if evidence.points(owner, [rollout], []) >= 1}


@pytest.mark.parametrize(
    ("feedback", "meant"),
    [
        ("The reader left out the date.", {"reader"}),
        ("self.reader was hasty.", {"reader"}),
        ("steps[1].generate_action went astray.", {"steps[1]"}),
        ("named['first one'] is wrong.", {"named['first one']"}),
        ("It is the first one that failed.", {"named['first one']"}),
        ("ReadNotes did not go well.", {"reader"}),
        ("check was careless.", {"check"}),
        ("`fine` is too high.", {"judge.predict"}),
        ("The judge was too harsh.", {"judge.predict"}),
        ("judge.predict was too harsh.", {"judge.predict"}),
        ("Predict the winner instead.", set()),
        ("The field place lacks a street.", {"named['first one']"}),
        ("A topic is missing.", set()),  # several have it
        ("Readers will not understand it.", set()),
        ("A proofreader would have seen it.", set()),
        ("The answer is wrong.", set()),
        ("data[0] and data[1] are missing.", set()),  # no step of the program
    ],
)
def test_a_feedback_means_those_that_it_names(feedback: str, meant: set[str]) -> None:
    assert _meant(feedback) == meant


def test_the_name_of_an_output_is_a_word_like_any() -> None:
    assert _meant("The check is wrong.", answer="total: 5") == {"check"}
    assert _meant("The check is wrong.", answer="check: 5 coins") == set()


def test_one_is_meant_whose_own_words_are_quoted() -> None:
    gave = {"records": (_record("reader", "the ship left at noon"),), "steps": {"check": "Gave:\nverdict: too late"}}
    assert _meant("It says 'the ship left', which is wrong.", **gave) == {"reader"}
    assert _meant("To say that the ship left at noon is wrong.", **gave) == {"reader"}
    assert _meant('Why "too late"?', **gave) == {"check"}
    both = (_record("reader", "the ship left at noon"), _record("steps[0]", "so the ship left"))
    assert _meant("It says 'the ship left'.", records=both) == set()
    assert _meant("It says 'the ship left'.", answer="answer: the ship left at noon", **gave) == set()


def test_a_note_for_one_alone_is_about_it() -> None:
    assert _meant("", notes={"check": "Be kind.", "reader": " "}) == {"check"}
    assert _meant("", notes={"check": "Be kind.", "reader": "Be quick."}) == set()


@pytest.mark.parametrize(
    "trouble",
    [{"failed_cells": 2}, {"reason": "max_iters"}, {"failed_sub_calls": 1}, {"repeated_turns": 1, "fell_back": True}],
)
def test_a_run_that_went_wrong_speaks_against_its_rlm(trouble: dict[str, Any]) -> None:
    bad = Rollout(score=0.0, records=(_record("reader", "a", replace(FINE, **trouble)), _record("steps[0]", "b")))
    evidence = _evidence()
    assert evidence.points("reader", [bad], []) >= 0.75
    assert evidence.points("steps[0]", [bad], []) == 0
    assert evidence.points("reader", [bad], [replace(bad, score=1.0)]) == 0  # as usual


def _record(path: str, gave: str, diagnosis: Diagnosis = FINE) -> RunRecord:
    return RunRecord(path, f"Turn 1\nEnded: submitted. Answer: notes='{gave}'", diagnosis)
