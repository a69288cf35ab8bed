"""Purged bytes are in no file of the store, nor in what the index is made of."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import dspy
import pytest

from rlm_module.memory import Observer, SqliteStore, StoreBusyError
from rlm_module.memory.samples import id_of, observation, session
from tests.memory.cast import Cast, chat, noticed

SECRETS = ("xyzzysecret", "plughsecret", "Zanzibarsecret")


def traces(folder: Path) -> dict[str, list[str]]:
    """Which secrets stand in which files, in whatever case."""
    held = {path.name: path.read_bytes().lower() for path in folder.iterdir()}
    return {
        name: words
        for name, data in held.items()
        if (words := [word for word in SECRETS if word.lower().encode() in data])
    }


def fill(store: SqliteStore) -> None:
    """Secrets in a turn, in an observation and in a session's id, amid other things, over many transactions."""
    ann = store.user("ann")
    for number in range(30):
        ann.ingest([session(f"s{number}", *(f"padding {number} {place}" for place in range(40)))])
    ann.ingest([session("Zanzibarsecret", "hello", "my word is xyzzysecret", "nothing")])
    public = id_of(ann, "Zanzibarsecret")
    made = observation(ann, "Zanzibarsecret", 1, subject="plughsecret")
    ann.observe(public, [made], observer="o", first=0, through=3)
    ann.ingest([session("later", *(f"more {place}" for place in range(40)))])


@pytest.mark.parametrize("what", ["turn", "session", "user"])
def test_purged_bytes_are_gone(what: str, tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "memory.db") as store:
        fill(store)
        ann = store.user("ann")
        public = id_of(ann, "Zanzibarsecret")
        assert {word for words in traces(tmp_path).values() for word in words} == set(SECRETS)
        if what == "turn":
            ann.forget_turn(f"{public}.1", purge=True)
        elif what == "session":
            ann.forget_session(public, purge=True)
        else:
            ann.forget_user(purge=True)
        left = {word for words in traces(tmp_path).values() for word in words}
        assert left == ({"Zanzibarsecret"} if what == "turn" else set[str]())
        assert ann.search("xyzzysecret") == ()
        assert bool(ann.search("padding")) == (what != "user")
    assert not {word for words in traces(tmp_path).values() for word in words} - {"Zanzibarsecret"}


def test_replacing_and_purging_later_leaves_nothing_either(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "memory.db") as store:
        fill(store)
        store.user("ann").ingest([session("Zanzibarsecret", "hello")], replace=True)
        assert "xyzzysecret" in {word for words in traces(tmp_path).values() for word in words}
        store.purge()
        assert {word for words in traces(tmp_path).values() for word in words} == {"Zanzibarsecret"}


def test_a_reader_that_does_not_end_is_named_and_purging_can_be_tried_again(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "memory.db", patience=0.05) as store:
        fill(store)
        reader = sqlite3.connect(tmp_path / "memory.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM turns").fetchone()
        with pytest.raises(StoreBusyError, match=r"try again|call purge"):
            store.user("ann").forget_user(purge=True)
        assert list(store.users()) == []
        reader.close()
        store.purge()
        assert traces(tmp_path) == {}


def test_what_an_observer_copied_from_its_log_is_purged_with_what_it_superseded(tmp_path: Path) -> None:
    def observer(turns: list[dict[str, str]], log: list[dict[str, str]]) -> str:
        said = {"kind": "fact", "subject": "home", "value": turns[0]["text"], "turns": [turns[0]["id"]]}
        if not log:
            return noticed(said)
        return noticed(said | {"value": f"Moved from {log[0]['value']}", "supersedes": log[0]["id"]})

    home = chat("home", "2024-04-10", ("user", SECRETS[0]))
    move = chat("move", "2024-06-20", ("user", "We moved to Bergen."))
    with SqliteStore(tmp_path / "memory.db") as store, dspy.context(lm=Cast(observer=observer).lm):
        ann = store.user("ann")
        ann.ingest([home, move])
        Observer(concurrency=1).observe(ann)
        assert ann.observations(current=True).items[0].value == f"Moved from {SECRETS[0]}"
        assert ann.forget_session(id_of(ann, "home"), purge=True).observations == 2
        assert traces(tmp_path) == {}
        assert Observer(concurrency=1).observe(ann).sessions == 1
        assert [one.value for one in ann.observations().items] == ["We moved to Bergen."]
