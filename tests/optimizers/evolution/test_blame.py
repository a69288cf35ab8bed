"""Whom a failure is put down to, whatever tells of it, and by turns where nothing does."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import dspy
import pytest

from rlm_module import RLM
from rlm_module.optimizers.evolution.blame import Blame
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.evidence import Evidence
from rlm_module.optimizers.evolution.rollouts import Rollout
from rlm_module.optimizers.trajectories.diagnosis import Diagnosis
from rlm_module.optimizers.trajectories.records import RunRecord


class ReadNotes(dspy.Signature):
    page: str = dspy.InputField()
    notes: str = dspy.OutputField()


class Pair(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.reader = RLM(ReadNotes)
        self.writer = RLM("remarks -> answer", tools=[lookup])


def lookup(word: str) -> str:
    """Finds a word."""
    return word


FINE = Diagnosis(3, 0, 0, 0, 0, 1, 0, None, "submitted", False, 0.01, 100, 1.0)
OWNERS = ("reader", "writer")


def _diagnosis(**changes: Any) -> Diagnosis:
    values = {name: getattr(FINE, name) for name in FINE.__dataclass_fields__}
    return Diagnosis(**{**values, **changes})


def _record(path: str, gave: str, middle: str = "", diagnosis: Diagnosis = FINE) -> RunRecord:
    field = "notes" if path == "reader" else "answer"
    return RunRecord(
        path, f"Turn 1\nOutput: looked at it {middle}\nEnded: submitted. Answer: {field}='{gave}'", diagnosis
    )


def _rollout(records: dict[str, RunRecord], feedback: str = "", score: float = 0.0, **more: Any) -> Rollout:
    gave = records["writer"].text.rpartition("='")[2].rstrip("'")
    return Rollout(score=score, feedback=feedback, records=tuple(records.values()), answer=f"answer: {gave}", **more)


def _blame(ask: Callable[[str], str], learn: Sequence[str] = ("strategy", "extract")) -> Blame:
    program = Pair()
    components = Components(program, learn)
    return Blame(components, Evidence(components, program), ask, lambda score: score >= 1)


def _silent(request: str) -> str:
    return ""


def _chosen(blame: Blame, rollouts: list[Rollout]) -> str:
    (name,) = blame(None, rollouts, [rollout.score for rollout in rollouts], 0, {})
    blame.proposed(name)
    return name


def _other(path: str) -> str:
    return "writer" if path == "reader" else "reader"


# In the trajectory alone: what went wrong in the run of the one at fault, while the feedback is the same for all.
_TROUBLES: list[dict[str, Any]] = [
    {"failed_cells": 2},
    {"reason": "max_iters", "fell_back": True},
    {"reason": "budget:calls"},
    {"failed_sub_calls": 1},
    {"reason": "error"},
]


def _in_trajectory(at_fault: str, chance: random.Random) -> Rollout:
    own = _record(at_fault, "something", diagnosis=_diagnosis(**chance.choice(_TROUBLES)))
    return _rollout({at_fault: own, _other(at_fault): _record(_other(at_fault), "else")}, "The answer is wrong.")


def _by_symptom(at_fault: str, chance: random.Random) -> Rollout:
    own = _record(at_fault, "something", middle="vokuzela")
    return _rollout({at_fault: own, _other(at_fault): _record(_other(at_fault), "else")}, "The answer is wrong.")


def _in_feedback(at_fault: str, chance: random.Random) -> Rollout:
    gave = {"reader": "the ship left at noon", "writer": "nobody can know that"}
    field = {"reader": "notes", "writer": "answer"}[at_fault]
    said = [f"The {at_fault} left out the date.", f"self.{at_fault} was hasty.", f"`{field}` leaves out the date."]
    if at_fault == "reader":
        said += ["ReadNotes did not go well.", "Its notes lack the date.", f"It noted that {gave['reader']}, wrongly."]
    feedback, notes = chance.choice(said), {}
    if chance.random() < 0.3:
        feedback, notes = "", {at_fault: "You left out the date.", _other(at_fault): ""}
    return _rollout({path: _record(path, gave[path]) for path in OWNERS}, feedback, notes=notes)


def _names_the_symptom(request: str) -> str:
    """A model that sees which part shows a symptom, and says so in words."""
    parts = {path: request.split(f"--- What `{path}` did ---")[1].split("--- ")[0] for path in OWNERS}
    guilty = [path for path, text in parts.items() if "vokuzela" in text]
    return f"Both {' and '.join(OWNERS)} acted.\nAt fault: **{', '.join(guilty)}**" if guilty else "I cannot tell."


@pytest.mark.parametrize("case", [_in_trajectory, _by_symptom, _in_feedback])
@pytest.mark.parametrize("at_fault", OWNERS)
def test_proposals_go_to_the_one_at_fault(case: Callable[[str, random.Random], Rollout], at_fault: str) -> None:
    chance, blame = random.Random(at_fault), _blame(_names_the_symptom)
    counts = Counter(_chosen(blame, [case(at_fault, chance) for _ in range(3)]).split(".")[0] for _ in range(40))
    assert counts[at_fault] >= 32


@pytest.mark.parametrize("case", [_in_trajectory, _by_symptom, _in_feedback])
def test_where_both_are_at_fault_each_gets_its_turn(case: Callable[[str, random.Random], Rollout]) -> None:
    chance, blame = random.Random(1), _blame(_names_the_symptom)
    counts = Counter(_chosen(blame, [case(path, chance) for path in OWNERS]).split(".")[0] for _ in range(40))
    assert 14 <= counts["reader"] <= 26


def test_where_nobody_can_tell_they_take_turns() -> None:
    chance, blame = random.Random(1), _blame(_silent)
    counts = Counter(_chosen(blame, [_by_symptom("reader", chance)]) for _ in range(40))
    assert counts == {"reader.strategy": 20, "writer.strategy": 20}


def test_what_passing_runs_show_too_is_no_evidence() -> None:
    blame = _blame(_names_the_symptom)
    slow = _diagnosis(failed_cells=2)
    passing = _rollout({"reader": _record("reader", "a", diagnosis=slow), "writer": _record("writer", "b")}, score=1.0)
    failing = _rollout(
        {"reader": _record("reader", "a", diagnosis=slow), "writer": _record("writer", "b", middle="vokuzela")}
    )
    assert {_chosen(blame, [failing, passing]) for _ in range(4)} == {"writer.strategy"}


def test_the_extract_instruction_is_changed_after_fallbacks_only() -> None:
    blame = _blame(_silent)
    fine, fell = (_record("reader", "a", diagnosis=_diagnosis(fell_back=fell)) for fell in (False, True))
    without = {_chosen(blame, [_rollout({"reader": fine, "writer": _record("writer", "b")})]) for _ in range(6)}
    after = {_chosen(blame, [_rollout({"reader": fell, "writer": _record("writer", "b")})]) for _ in range(6)}
    assert without == {"reader.strategy", "writer.strategy"}
    assert {"reader.extract", "reader.strategy"} <= after
    assert "writer.extract" not in after


def test_tools_and_sub_calls_are_changed_where_they_were_used() -> None:
    blame = _blame(_silent, ("tools", "sub_calls"))
    used = _record("writer", "b", middle="lookup('x')")
    chosen = {_chosen(blame, [_rollout({"writer": used})]) for _ in range(6)}
    assert chosen == {"writer.tools.lookup", "writer.sub_calls"}
    unused = _record("writer", "b", diagnosis=_diagnosis(sub_calls=0))
    assert blame(None, [_rollout({"writer": unused})], [0.0], 0, {}) == []


def test_where_nobody_came_to_act_any_strategy_may_change() -> None:
    blame = _blame(_silent)
    chosen = {_chosen(blame, [Rollout(score=0.0, fault="The program failed.")]) for _ in range(4)}
    assert chosen == {"reader.strategy", "writer.strategy"}


def test_who_did_not_run_is_not_to_blame() -> None:
    blame = _blame(_silent)
    chosen = {_chosen(blame, [Rollout(score=0.0, records=(_record("reader", "a"),))]) for _ in range(4)}
    assert chosen == {"reader.strategy"}
