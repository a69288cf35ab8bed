"""Texts in items, of which one may be left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlm_module.optimizers.evolution.pruning import items, learned, without

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
