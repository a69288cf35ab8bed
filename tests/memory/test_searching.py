"""Search: stems, folding, scripts without spaces, and candidates once words are more common than the cap."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlm_module.memory import Session, SqliteStore, Turn
from rlm_module.memory.samples import session
from rlm_module.memory.sqlite import SqliteUser, searching

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[SqliteUser]:
    with SqliteStore(tmp_path / "memory.db") as store:
        yield store.user("ann")


def found(user: SqliteUser, query: str, k: int = 10) -> list[str]:
    return [hit.turn.text for hit in user.search(query, k)]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("I bought two bikes", "which bike did I buy"),
        ("Café Müller", "CAFE muller"),
        ("私は東京に住んでいます", "東京"),
        ("서울에 살아요", "서울"),
        ("flight LH123 at 5", "LH123"),
        ("don't panic", "panic!"),
    ],
)
def test_words_are_found_in_other_forms(ann: SqliteUser, text: str, query: str) -> None:
    ann.ingest([session("a", text, "something else altogether")])
    assert found(ann, query) == [text]


def test_a_word_said_more_often_or_in_a_shorter_turn_ranks_higher(ann: SqliteUser) -> None:
    texts = ["cat " + "filler " * 30, "cat cat " + "filler " * 29, "cat", "filler"]
    ann.ingest([session("a", *texts)])
    assert found(ann, "cat") == [texts[2], texts[1], texts[0]]


def test_the_latest_of_equals_comes_first(ann: SqliteUser) -> None:
    ann.ingest([session("late", "cat", start=START + dt.timedelta(days=1)), session("early", "cat", start=START)])
    assert [hit.turn.ts for hit in ann.search("cat")] == [START + dt.timedelta(days=1), START]


def test_words_with_one_stem_count_once(ann: SqliteUser) -> None:
    ann.ingest([session("a", "bike", "dog")])
    assert ann.search("bike bikes biking")[0].score == ann.search("bike")[0].score


def many(count: int) -> list[Session]:
    turns = tuple(
        Turn(role="user", text=f"work day number{n} {'rare' if n == 70 else ''}", ts=START) for n in range(count)
    )
    return [Session(id="a", started_at=START, turns=turns)]


def test_common_words_still_find_and_rare_ones_decide(ann: SqliteUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_CAP", 20)
    ann.ingest([*many(100), session("b", "work", "a day at work with my brother", start=START)])
    assert len(found(ann, "work day")) == 10
    assert found(ann, "work rare day", 1) == ["work day number70 rare"]
    assert found(ann, "brother day", 1) == ["a day at work with my brother"]


def test_a_turn_with_several_common_words_beats_turns_with_one_rare_word(
    ann: SqliteUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_CAP", 30)
    rare = [f"brother {number}" for number in range(25)]
    common = [f"{word} {number}" for number in range(40) for word in ("red", "bicycle", "lake")]
    ann.ingest([session("a", *rare, *common, "a red bicycle at the lake")])
    assert found(ann, "did my brother see the red bicycle by the lake?", 1) == ["a red bicycle at the lake"]


def test_of_words_that_are_common_the_newest_turns_known_are_looked_at(
    ann: SqliteUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_CAP", 20)
    monkeypatch.setattr(searching, "_CAP_TOGETHER", 20)
    days = [START + dt.timedelta(days=day) for day in range(100)]
    ann.ingest([session(str(number), f"work day number{number}", start=day) for number, day in enumerate(days)])
    assert found(ann, "work day", 2) == ["work day number99", "work day number98"]
    hits = ann.search("work day", 2, as_of=days[40])
    assert [hit.turn.text for hit in hits] == ["work day number40", "work day number39"]


def test_a_filter_that_rejects_the_rare_words_turns_leaves_the_common_ones(
    ann: SqliteUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_CAP", 200)
    monkeypatch.setattr(searching, "_BATCH", 7)
    ann.ingest([*many(150), session("b", "first", "work of the assistant", start=START)])
    hits = ann.search("rare work", role="assistant")
    assert [hit.turn.text for hit in hits] == ["work of the assistant"]


def test_a_long_turn_is_found_by_a_word_at_its_end_and_a_long_question_is_cut(ann: SqliteUser) -> None:
    long = "padding " * 640_000 + "needle"
    ann.ingest([session("a", long, "needle in a haystack")])
    assert {len(text) for text in found(ann, "needle")} == {len(long), 20}
    assert found(ann, "haystack " + "word " * 5_000) == ["needle in a haystack"]


@pytest.mark.parametrize("query", ["wombat", "wombat early"])
def test_what_was_said_later_hides_nothing_that_was_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(searching, "_CAP", 20)
    monkeypatch.setattr(searching, "_CAP_TOGETHER", 20)
    year = dt.timedelta(days=366)
    with SqliteStore(tmp_path / "memory.db") as store:
        store.user("ann").ingest(
            [
                session("first", "an early wombat", start=START),
                session("later", *(f"a wombat in the early hours of {n}" for n in range(130)), start=START + year),
                session("last", "nothing", start=START),
            ]
        )
        early = store.user("ann", as_of=START)
        assert found(early, query) == ["an early wombat"]


def test_a_role_that_seldom_speaks_is_found(ann: SqliteUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_CAP", 20)
    turns = [Turn(role="tool" if n == 0 else "user", text=f"a wombat {n}", ts=START) for n in range(90)]
    ann.ingest([Session(id="a", started_at=START, turns=tuple(turns))])
    assert [hit.turn.text for hit in ann.search("wombat", role="tool")] == ["a wombat 0"]
