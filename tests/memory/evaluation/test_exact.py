"""Which answers say what the right one says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.memory.evaluation.exact import matches


@pytest.mark.parametrize(
    ("right", "given"),
    [
        ("Biscuit", "biscuit."),
        ("Biscuit", "The dog is called Biscuit."),
        ("a harbour", "harbour"),
        ("the aisle", "An aisle"),
        ("3", "three"),
        ("3", "You went to 3 concerts."),
        ("1250", "1,250 euros"),
        ("4.5", "4.5"),
        ("a", "(a)"),
        ("child's pose", "Child's pose"),
        ("gluten-free", "gluten free"),
    ],
)
def test_the_same_in_other_letters_counts(right: str, given: str) -> None:
    assert matches(right, given)


@pytest.mark.parametrize(
    ("right", "given"),
    [
        ("Biscuit", "Pepper"),
        ("Biscuit", ""),
        ("Biscuit", "Biscuit or Pepper"),
        ("Biscuit", "not Biscuit"),
        ("Biscuit", "Biscuits"),
        ("Biscuit", " ".join(["word"] * 12) + " Biscuit"),
        ("3", "13"),
        ("3", "3 of 5"),
        ("3", "3.5"),
        ("a", "b"),
        ("a", "that is a matter of taste"),
        ("", ""),
    ],
)
def test_what_says_something_else_does_not(right: str, given: str) -> None:
    assert not matches(right, given)


@given(st.text())
def test_any_text_is_compared(text: str) -> None:
    assert not matches("zebra crossing", text) or "zebra" in text.casefold()
