"""Texts in items, of which one may be left out."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rlm_module.optimizers.evolution.pruning import items, learned, without
from tests.optimizers.evolution.trials import OPEN, SEED, SOLVED, Trials

TEXT = "You solve a task.\nIn steps.\n\n- Probe first.\n  With care.\n- Filter.\n\nAct."


def test_a_point_of_a_list_has_the_lines_that_go_on_with_it() -> None:
    assert [item.strip() for item in items(TEXT)] == [
        "You solve a task.\nIn steps.",
        "- Probe first.\n  With care.",
        "- Filter.",
        "Act.",
    ]


def test_learned_items_are_those_that_the_original_lacks_the_last_first() -> None:
    text = f"{TEXT}\n- Check twice.\n- Be hasty."
    assert learned(text, TEXT) == ["- Be hasty.", "- Check twice."]
    assert without(text, "- Be hasty.") == f"{TEXT}\n- Check twice."


@given(st.lists(st.sampled_from(["- a", "b", "", "1. c", "  d", "# e"]), max_size=10))
def test_items_are_the_text(lines: list[str]) -> None:
    text = "\n".join(["first", *lines])
    assert "\n".join(items(text)) == "\n".join(text.splitlines())


LEARNED = f"{SEED}\n- One.\n- Two.\n- Three."


def test_of_what_was_learned_the_first_item_whose_loss_is_a_gain_is_left_out() -> None:
    better = f"{SEED}\n- One.\n- Three."
    trials = Trials({better: 0.5, f"{SEED}\n- Two.\n- Three.": 1.0})
    assert trials.pruner.pruned(trials.step(LEARNED), ["first"]) == {"first": better}
    assert [text for text, _ in trials.runs] == [LEARNED, f"{SEED}\n- One.\n- Two.", better]


def test_no_item_of_a_candidate_is_left_out_twice() -> None:
    trials = Trials({}, harm=(LEARNED,))
    step = trials.step(LEARNED)
    assert trials.pruner.pruned(step, ["first"]) == {}
    later = replace(step, open=(SOLVED,))
    assert trials.pruner.pruned(later, ["first"]) == {}
    assert trials.pruner.pruned(replace(later, parent=1), ["first"]) == {"first": f"{SEED}\n- One.\n- Two."}


def test_only_what_the_base_lacks_is_left_out_and_no_more_than_can_be_paid() -> None:
    trials = Trials({}, max_runs=3)
    assert trials.pruner.shorter({"first": LEARNED}, "first", f"{SEED}\n- One.", OPEN) is None
    assert [text for text, _ in trials.runs] == [LEARNED, f"{SEED}\n- One.\n- Two."]
