"""What is shown of a long text is what it is shown for."""

from __future__ import annotations

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.memory import MemorySystem, SqliteStore
from rlm_module.memory.arms import FullHistory, make_arm
from rlm_module.memory.excerpts import excerpt
from tests.memory.cast import AS_OF, Cast, chat, rows
from tests.scripted import ScriptedLM, fields, said

LONG = f"{'filler words here ' * 1_500}my passport number is X77{' and other words here' * 1_500}"
QUESTION = "Which number does my passport have?"


@pytest.mark.parametrize(
    "about", ["passport", "PASSPORT words", "words here " * 5 + "X77", f"{QUESTION} {'filler and other words ' * 50}"]
)
def test_the_passage_with_the_words_is_kept(about: str) -> None:
    assert "my passport number is X77" in excerpt(LONG, 2_000, about)


def test_what_is_left_out_is_told() -> None:
    cut = excerpt(LONG, 2_000, "passport")
    before, _, after = cut.partition("passport")
    assert before.startswith("[")
    assert after.endswith(" characters left out]")


@pytest.mark.parametrize("about", ["", "of the", "giraffe"])
def test_without_words_its_beginning_and_its_end_are_kept(about: str) -> None:
    assert excerpt("a" * 50 + "b" * 900 + "c" * 50, 100, about) == f"{'a' * 50} [900 characters left out] {'c' * 50}"


def test_scripts_without_spaces_are_found() -> None:
    assert "我的护照号码是" in excerpt("天" * 30_000 + "我的护照号码是四" + "天" * 30_000, 2_000, "护照号码")


@given(st.text(max_size=400), st.integers(0, 300), st.text(max_size=20))
def test_an_excerpt_is_never_much_longer_than_it_may_be(text: str, chars: int, about: str) -> None:
    cut = excerpt(text, chars, about)
    assert cut == text if len(text) <= chars else len(cut) <= chars + 40 * 17


def test_the_check_sees_the_middle_of_a_long_turn(store: SqliteStore) -> None:
    store.user("cleo").ingest([chat("long", "2024-03-01", ("user", LONG))])
    cast = Cast("hit = search('passport')[0]\nSUBMIT(answer='X77', evidence=[hit.id])")
    with dspy.context(lm=cast.lm):
        prediction = MemorySystem(store, "cleo")(question=QUESTION, as_of=AS_OF)
    assert prediction.answer == "X77"
    (turn,) = rows(cast.prompts("check")[0], "turns")
    assert "my passport number is X77" in turn["text"]
    assert len(turn["text"]) < 21_000


def test_an_arm_sees_the_middle_of_a_long_turn(store: SqliteStore) -> None:
    store.user("cleo").ingest([chat("long", "2024-03-01", ("user", LONG))])
    lm = ScriptedLM([fields(answer="X77", evidence="[]")])
    with dspy.context(lm=lm):
        make_arm("full_history", store, "cleo")(question=QUESTION, as_of=AS_OF)
    assert "my passport number is X77" in said(lm.requests[0])


def test_a_turn_longer_than_the_window_does_not_empty_the_history(store: SqliteStore) -> None:
    store.user("ann").ingest([chat("paste", "2024-06-30", ("user", "word " * 100_000))])
    memory = store.user("ann", as_of=AS_OF)
    assert len(FullHistory(store, "ann").chosen(memory, "")) == 7  # cut, it fits
    shown = FullHistory(store, "ann", window_tokens=1_000).chosen(memory, "")
    assert [turn.text[:20] for turn in shown][-1] == "Bergen is rainy."
