"""Which number an answer claims, among those that tell when, how long, or of something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.memory.claimed import Claim

RUN = "How many marathons did I run?"
RECENT = "How many marathons did I run in the last 2 years?"
PAID = "How much money did I spend on my bike?"
BOUGHT = ("I bought an iPhone 15 today.", "The Pixel 8 has come.")


@pytest.mark.parametrize(
    ("question", "answer", "amount"),
    [
        (RUN, "2", 2),
        (RUN, "Two marathons.", 2),
        (RUN, "You ran 2 marathons in 2024, on March 3 and May 4, 2024.", 2),
        (RUN, "In 2024 and 2025 you ran 3 marathons", 3),
        (RUN, "Between 10 May and 3 June 2024, starting at 9:30 or 10 am: 4 marathons", 4),
        (RUN, "On 2024-03-01 and 5/4/2024 you ran: two", 2),
        (RUN, "Over 9 months you ran 3", 3),
        (RUN, "For 2 charities you ran 9 full marathons", 9),
        (RUN, "You ran 2 city marathons and 1 trail marathon, so 3", 3),
        (RUN, "3: 2 of them in town, 1 on a trail", 3),
        (RUN, "2 of the 5 that you planned", 2),
        (RUN, "Out of 5, you finished 2", 2),
        (RUN, "Your 2nd and 3rd, that makes two", 2),
        (RUN, "none", 0),
        (RUN, "You never ran a marathon", 0),
        (RUN, "2000", 2000),
        (RECENT, "2", 2),
        (RECENT, "2 marathons in the last 2 years", 2),
        (RECENT, "In the last 2 years you ran 9", 9),
        ("How many days did I run?", "In 2 weeks you ran on 5 days", 5),
        ("How many of my 5 guitars are red?", "Of the 5, you painted 3 red", 3),
        ("How many phones did I buy?", "The iPhone 15 and the Pixel 8, so two", 2),
        (PAID, "$1,250", 1250),
        (PAID, "You bought 2 parts for $1,250", 1250),
        (PAID, "1200 for the frame, 50 for the bell: 1250", 1250),
        (PAID, "The frame was 1200, which makes 1,250.00 euros", 1250),
        ("How many miles did I ride in all?", "3 rides, 120 miles", 120),
    ],
)
def test_what_is_claimed(question: str, answer: str, amount: float) -> None:
    assert Claim(answer, question, BOUGHT).is_of(amount)


@pytest.mark.parametrize(
    ("question", "answer", "amount"),
    [
        (RUN, "9 marathons in 2 years", 2),
        (RUN, "9 in 2 years", 2),
        (RUN, "9 marathons for 2 charities", 2),
        (RUN, "For 2 charities you ran 9 marathons", 2),
        (RUN, "For 2 charities and in 3 towns you ran 9 marathons", 3),
        (RUN, "9, as of March 2", 2),
        (RUN, "9 since 2 May", 2),
        (RUN, "9 of 2", 2),
        (RUN, "a total of 9", 1),
        (RUN, "many", 1),
        (RECENT, "9 marathons in the last 2 years", 2),
        (RECENT, "In the last 2 years, 9", 2),
        ("How many phones did I buy?", "The iPhone 15 and the Galaxy 9, so two", 2),  # of which nobody spoke
        (PAID, "$9,000 for 1250 screws", 1250),
        (PAID, "You paid 9000 for 1250", 1250),
        ("How many miles did I ride in all?", "120 rides, 3 miles", 120),
    ],
)
def test_what_is_not(question: str, answer: str, amount: float) -> None:
    assert not Claim(answer, question, BOUGHT).is_of(amount)


def test_of_a_sum_the_parts_may_be_told_first() -> None:
    answer = "The frame was 1200 and then some, so 1250"
    assert Claim(answer, "What did it come to?").is_of(1250, [1200, 50])
    assert not Claim(answer, "What did it come to?").is_of(1250, [600, 650])


@given(st.text(), st.text(), st.lists(st.text(), max_size=2))
def test_any_text_can_be_read(answer: str, question: str, sources: list[str]) -> None:
    assert not Claim(answer, question, sources).is_of(-1)
