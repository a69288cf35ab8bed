"""Requests to the reflection model, and the records in them."""

from __future__ import annotations

from rlm_module import RLM
from rlm_module.optimizers.evolution.briefs import Brief
from rlm_module.optimizers.evolution.components import Component
from rlm_module.optimizers.evolution.rollouts import Rollout
from rlm_module.optimizers.trajectories.diagnosis import Diagnosis
from rlm_module.optimizers.trajectories.records import RunRecord

CURRENT = "Be brief.\n- Probe first."
BRIEF = Brief(Component("reader.strategy", "reader", "strategy"), "q -> answer", RLM("q -> answer"), 500)


def test_the_request_is_the_same_each_time_and_says_what_is_told_elsewhere() -> None:
    one, other = (BRIEF.request(CURRENT, ["a", "b"]) for _ in range(2))
    assert one == other
    assert "told to the model elsewhere" in one
    plain = Brief(Component("answer", "answer", "predictor"), "q -> a", None, 500)
    assert "REPL" not in plain.request("Answer.", ["a"])


def test_a_record_tells_what_its_rlm_did_and_what_was_said_of_it() -> None:
    diagnosis = Diagnosis(3, 2, 0, 0, 0, 1, 0, None, "submitted", False, 0.01, 100, 1.0)
    rollout = Rollout(
        score=0.25,
        feedback="Too long.",
        notes={"reader": "Mind the date.", "writer": "Fine."},
        records=(RunRecord("reader", "Turn 1", diagnosis), RunRecord("writer", "Turn 2", diagnosis)),
        inputs="q: Which day?",
        answer="answer: Monday",
    )
    assert BRIEF.record(rollout) == (
        "Inputs of the program:\nq: Which day?\n"
        "Turn 1\n2 turns (of 3) ran code that failed.\n"
        "Outputs of the program:\nanswer: Monday\n"
        "Score: 0.25\n"
        "Feedback: Too long.\nMind the date."
    )


def test_a_record_of_one_that_did_not_come_to_act_says_so() -> None:
    told = BRIEF.record(Rollout(score=0.0, fault="The program failed.", feedback="The program failed.")).splitlines()
    assert told[2:] == [
        "It did not run.",
        "The program gave no outputs.",
        "Score: 0",
        "Feedback: The program failed.",
    ]


def test_a_plain_predictors_record_is_what_it_was_given_and_gave() -> None:
    brief, step = Brief(Component("answer", "answer", "predictor"), "q -> a", None, 500), "Given:\nq: 1\nGave:\na: 2"
    assert step in brief.record(Rollout(score=0.0, steps={"answer": step}))
