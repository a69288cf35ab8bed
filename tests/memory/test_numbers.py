"""Numbers in words are read whole, and articles count only where nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.memory.numbers import amounts, figures

ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def _spelt(number: int, hyphen: str, joint: str) -> str:
    if number < 20:
        return ONES[number]
    if number < 100:
        rest = f"{hyphen}{ONES[number % 10]}" if number % 10 else ""
        return TENS[number // 10 - 2] + rest
    scale, name = (100, "hundred") if number < 1_000 else (1_000, "thousand")
    rest = f"{joint}{_spelt(number % scale, hyphen, joint)}" if number % scale else ""
    return f"{_spelt(number // scale, hyphen, joint)} {name}{rest}"


@given(st.integers(0, 999_999), st.sampled_from(["-", " "]), st.sampled_from([" and ", " "]))
def test_a_number_in_words_is_one_number(number: int, hyphen: str, joint: str) -> None:
    assert figures(f"It was {_spelt(number, hyphen, joint)}, they say.") == [number]


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert set(figures(text)) <= set(amounts(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Twice, 1,200.50 and twenty-one, no 3.", [2, 1200.5, 21, 3]),
        ("a total of 9", [9]),
        ("An hour and a quarter", [1, 1]),
        ("none", [0]),
        ("once", [1]),
        ("five and six, then one two three", [5, 6, 1, 2, 3]),
        ("two and a half weeks", [2.5]),
        ("two dozen eggs", [24]),
        ("3 thousand", [3000]),
        ("on 2024-03-01", [2024, 3, 1]),
        ("a hundred", [100]),
        ("", []),
    ],
)
def test_numbers_are_found_in_digits_and_words(text: str, found: list[float]) -> None:
    assert figures(text) == found


def test_all_that_may_be_a_number_is_an_amount() -> None:
    assert amounts("I won once, and three times since") == [3, 1]
