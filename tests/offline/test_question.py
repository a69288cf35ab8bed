"""What a question asks, by its words."""

from __future__ import annotations

import pytest

from rlm_module.offline.question import Aggregate, Dates, aggregate, dates, mentioned, normal, phrases, quoted, terms


def test_terms_leave_out_what_every_question_holds() -> None:
    assert terms("What is the vault code of the Larkspur depot?") == ["vault", "code", "larkspur", "depot"]


def test_terms_keep_identifiers_whole_and_stem_words() -> None:
    assert terms("Which records of u_17 were labelled on 2025-03-14?") == ["record", "u 17", "label", "2025 03 14"]


def test_phrases_are_words_side_by_side() -> None:
    assert phrases("What is the vault code of the Larkspur depots?") == ["vault code", "larkspur depot"]


def test_normal_finds_whole_words_only() -> None:
    assert normal("u_1") not in normal("user u_17")
    assert normal("Billing-Issue") in normal("the billing issue, please")


def test_quoted_takes_no_apostrophe_for_a_quote() -> None:
    assert quoted("How many of Ann's records are labelled 'late refund' or \"bug\"?") == ["late refund", "bug"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many records are labelled 'refund'?", Aggregate("rows")),
        ("What is the number of complaints?", Aggregate("rows")),
        ("Count the lines of user u_3.", Aggregate("rows")),
        ("How many different users wrote?", Aggregate("distinct", "user")),
        ("Which user has the most refunds?", Aggregate("most", "user")),
        ("What is the least common label?", Aggregate("least", "label")),
        ("Which categories are most frequent?", Aggregate("most", "category")),
        ("What is the vault code?", None),
        ("Who is the most famous painter?", None),
    ],
)
def test_counting_is_told_from_reading(question: str, expected: Aggregate | None) -> None:
    assert aggregate(question) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("in March 2025", Dates("2025-03-01", "2025-03-31")),
        ("in 2024-11", Dates("2024-11-01", "2024-11-31")),
        ("during 2024", Dates("2024-01-01", "2024-12-31")),
        ("on 2025-03-14", Dates("2025-03-14", "2025-03-14")),
        ("on March 4, 2025", Dates("2025-03-04", "2025-03-04")),
        ("between 2025-03-01 and 5 April 2025", Dates("2025-03-01", "2025-04-05")),
        ("since 2025-03-01", Dates(first="2025-03-01")),
        ("after 2025-02-28", Dates(first="2025-03-01")),
        ("before 2025-03-01", Dates(last="2025-02-28")),
        ("in May", Dates(month=5)),
        ("may I ask", None),
    ],
)
def test_dates(question: str, expected: Dates | None) -> None:
    assert dates(f"How many records were there {question}?") == expected


def test_mentioned_words_and_phrases() -> None:
    assert mentioned("How many lines mention 'the blue kettle' or contain invoice?") == ["the blue kettle", "invoice"]
