"""What is tried before a text is worth a validation, and what is taken in the end."""

from __future__ import annotations

import pytest

from rlm_module.optimizers.evolution.stopping import Exhausted
from tests.optimizers.evolution.trials import SEED, Trials


def test_the_first_that_solves_its_example_and_harms_nothing_is_taken() -> None:
    trials = Trials({"A.": 1.0}, {SEED: ["A.", "B."]})
    assert trials.found() == "A."
    assert trials.runs == [("A.", "solved"), ("A.", "open")]
    assert trials.drawn == [SEED, "A."]  # asked again over the same records, until nothing changes


def test_only_runs_that_did_not_go_well_are_shown() -> None:
    trials = Trials({"A.": 1.0}, {SEED: ["A."]})
    trials.found()
    assert "It scored 0." in trials.requests[0]
    assert "It scored 1." not in trials.requests[0]


def test_one_that_harms_what_was_solved_is_passed_over_at_once() -> None:
    trials = Trials({"A.": 1.0, "B.": 1.0}, {SEED: ["A.", "B."]}, harm=("A.",))
    assert trials.found() == "B."
    assert ("A.", "open") not in trials.runs


def test_where_no_change_is_called_for_there_is_none() -> None:
    trials = Trials({})
    assert trials.found() == ""
    assert trials.runs == []
    assert trials.drawn == [SEED]


def test_of_those_that_gain_nothing_the_shortest_is_left_to_the_minibatch() -> None:
    trials = Trials({}, {SEED: ["Long A.", "Long B.", "C.", "Long D.", "Long E.", "F."]})
    assert trials.found() == "C."
    assert trials.drawn.count(SEED) == 5


def test_a_text_that_was_drawn_before_is_no_effort() -> None:
    trials = Trials({"A.": 0.5, "B.": 1.0}, {SEED: ["A.", "A.", "A.", "B."]})
    assert trials.found() == "B."


def test_what_gains_something_is_mended_by_what_its_own_run_shows() -> None:
    trials = Trials({"A.": 0.5, "B.": 0.25, "A2.": 1.0}, {SEED: ["A.", "B.", "C.", "D."], "A.": ["A.", "A2."]})
    assert trials.found() == "A2."
    assert "The run of A." in trials.requests[-1]
    assert trials.drawn.count(SEED) == 3  # two that gained something and one that did not are effort enough


def test_a_mended_text_that_is_no_better_is_left() -> None:
    trials = Trials({"A.": 0.5, "A2.": 0.5}, {SEED: ["A."], "A.": ["A.", "A2."]})
    assert trials.found() == "A."
    assert ("A2.", "open") in trials.runs


def test_where_its_run_calls_for_no_change_an_item_that_does_harm_is_left_out() -> None:
    text = f"{SEED}\n- Good.\n- Bad.\n- Idle."
    trials = Trials({text: 0.5, f"{SEED}\n- Good.\n- Idle.": 1.0}, {SEED: [text]})
    assert trials.found() == f"{SEED}\n- Good.\n- Idle."


def test_where_all_was_tried_before_something_learned_is_left_out_first() -> None:
    trials = Trials({SEED: 0.5}, {f"{SEED}\n- Bad.": ["A."]})
    assert trials.found(f"{SEED}\n- Bad.", is_stuck=True) == SEED
    assert trials.drawn == []


def test_else_that_is_tried_last() -> None:
    trials = Trials({SEED: 0.5})
    assert trials.found(f"{SEED}\n- Bad.") == SEED
    assert trials.drawn == [f"{SEED}\n- Bad."]


def test_a_trial_that_cannot_be_paid_ends_it() -> None:
    trials = Trials({}, {SEED: ["A."]}, max_runs=3)
    with pytest.raises(Exhausted, match="program runs"):
        trials.found()


def test_no_more_are_drawn_where_their_trial_could_not_be_paid() -> None:
    trials = Trials({}, {SEED: ["Long A.", "B."]}, max_runs=4)
    assert trials.found() == "Long A."


def test_who_has_been_changed_waits_for_its_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    trials, proposed = Trials({"A.": 1.0}, {SEED: ["A."]}), list[str]()
    monkeypatch.setattr(trials.blame, "proposed", proposed.append)
    trials.found()
    assert proposed == ["first"]
