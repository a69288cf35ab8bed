"""Extractive reading: which sentence, which value in it, and prompts of many shapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.offline import reader

NOTES = """\
2025-02-01 | u_staff | note | The vault code of the Foxglove depot is 3Q-8516-PLOVER.
2025-02-02 | u_staff | note | The vault of the Larkspur depot was repainted; ask the manager for the code of the paint.
2025-06-11 | u_staff | note | The vault code of the Larkspur depot is 5Q-4288-OSPREY.
"""


@pytest.mark.parametrize(
    ("question", "sentence", "answer"),
    [
        ("What is the vault code of the Larkspur depot?", NOTES, "5Q-4288-OSPREY"),
        ("Who discovered the comet?", "In 1911 Mary Quill discovered the comet.", "Mary Quill"),
        ("When was the comet discovered?", "Mary Quill discovered the comet on 3 May 1911 in Cork.", "3 May 1911"),
        ("How many sheep are on the farm?", "The farm keeps 1,250 sheep.", "1,250"),
        ("Where is the key kept?", "The key is kept under the blue stone.", "under the blue stone"),
        ("What is the capital of Ruritania?", "Strelsau is the capital of Ruritania.", "Strelsau"),
        ("What is the launch code?", "day 12: the launch code is MAGNOLIA-7", "MAGNOLIA-7"),
        ("What is the password?", "Password: swordfish", "swordfish"),
        ("What did the farmer plant?", "The farmer planted barley.", "The farmer planted barley."),
    ],
)
def test_the_value_is_found(question: str, sentence: str, answer: str) -> None:
    assert reader.read(question, sentence)[0].answer == answer


def test_the_sentence_with_the_rare_words_wins() -> None:
    best = reader.read("What is the vault code of the Larkspur depot?", NOTES)[0]
    assert best.sentence.startswith("2025-06-11")
    assert best.score > 0.9


def test_too_little_overlap_is_no_reading() -> None:
    assert reader.read("What is the vault code of the Larkspur depot?", "The weather in May was fine.") == []


@pytest.mark.parametrize(
    "prompt",
    [
        "Question: Who built it?\n\nPassage:\nIt was built by Ann Lee.",
        "Passage:\nIt was built by Ann Lee.\n\nQuestion: Who built it?",
        "Answer from the text alone.\nQuery: Who built it?\nContext: It was built by Ann Lee.",
        "Who built it?\n\nIt was built by Ann Lee.",
        "It was built by Ann Lee.\n\nWho built it?",
        "Who built it? It was built by Ann Lee.",
        "Who built it? Here is the document: It was built by Ann Lee.",
    ],
)
def test_prompts_of_many_shapes(prompt: str) -> None:
    assert reader.reply(prompt) == "Ann Lee"


def test_evidence_is_added_on_request() -> None:
    prompt = f"Give the answer, then the sentence that shows it.\n\nQuestion: {{}}\n\nPassage:\n{NOTES}"
    said, shown = reader.reply(prompt.format("What is the vault code of the Larkspur depot?")).split("\n")
    assert said == "5Q-4288-OSPREY"
    assert shown == NOTES.splitlines()[2]


def test_gist_keeps_the_order_of_sentences() -> None:
    text = "The mill grinds corn. Rain fell. The mill by the river grinds corn for the town. Bob left. Corn feeds us."
    gist = reader.read("Write a summary.", text)[0].answer
    assert gist == "The mill grinds corn. The mill by the river grinds corn for the town. Corn feeds us."


@given(st.text())
def test_any_prompt_gets_a_reply(prompt: str) -> None:
    assert reader.reply(prompt)
