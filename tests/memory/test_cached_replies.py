"""Which cached replies tell of somebody, and that nothing is left of those in the files of dspy's cache."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dspy
import pydantic
import pytest

from rlm_module.memory import StoreBusyError, StoreError, cached_replies, clear_cache
from rlm_module.memory.cached_replies import Traces, digest, drop_cached, passages, purge_cached
from tests.scripted import ScriptedLM, said

SECRET = "xyzzysecret"
TOLD = Traces(session_ids={"k3x7q2ma"}, replies={digest("Yes, it is.")}, passages=set(passages(f"My word is {SECRET}")))


class Told(pydantic.BaseModel):
    """What an SDK may return."""

    content: str


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    dspy.configure_cache(enable_disk_cache=True, enable_memory_cache=True, disk_cache_dir=str(tmp_path / "cache"))
    yield tmp_path / "cache"
    disk: Any = dspy.cache.disk_cache
    disk.close()


def holding(folder: Path, secret: str = SECRET) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def ask(*prompts: str) -> list[str]:
    """Asks an LM that repeats the prompt; those prompts that came to it."""
    lm = ScriptedLM(lambda request: f"You said: {said(request)}", cache=True)
    for prompt in prompts:
        lm(prompt)
    return [said(request) for request in lm.requests]


@pytest.mark.parametrize(
    "value",
    [
        "Yes, it is.",
        "k3x7q2ma",
        "See k3x7q2ma.12 for it",
        json.dumps({"turns": ["one\nk3x7q2ma.0"]}),
        json.dumps(json.dumps(["k3x7q2ma.0"])),
        f"I know that MY WORD, IS: {SECRET}!",
        json.dumps({"value": f"my\nword is\t{SECRET}"}),
        {"outputs": [{"text": ["", ("k3x7q2ma.0",)]}]},
        dspy.Prediction(answer=f"my word is {SECRET}"),
        Told(content="Yes, it is."),
    ],
)
def test_what_tells_of_a_memory(value: Any) -> None:
    assert TOLD.are_in(value)


@pytest.mark.parametrize(
    "value",
    ["Yes, it is", "k3x7q2mb.0", "xk3x7q2ma", "k3x7q2maa", "The word is another", "", None, 7, ["my", "word", "is"]],
)
def test_what_does_not(value: Any) -> None:
    assert not TOLD.are_in(value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One two three, four five", ["one two three four", "two three four five"]),
        ("Pin: 4711", ["pin 4711"]),
        ("4711", ["4711"]),
        ("Thanks!", []),
        ("", []),
        ("Schnürsenkel", ["schnürsenkel"]),
        ("東京都に行く", ["東京 京都 都に に行", "京都 都に に行 行く"]),
    ],
)
def test_short_texts_are_looked_for_whole_if_they_say_much(text: str, found: list[str]) -> None:
    assert list(passages(text)) == found


def test_an_escaped_letter_is_a_letter() -> None:
    assert Traces(passages=set(passages("Schnürsenkel"))).are_in(json.dumps("Zwei Schnürsenkel"))


@pytest.mark.parametrize("length", [0, 100_000])
def test_replies_with_traces_are_dropped_to_the_bytes_and_others_stay(folder: Path, length: int) -> None:
    prompts = [f"my word is {SECRET}{' x' * length}", f"my hat is green{' y' * length}"]
    assert ask(*prompts) == prompts
    assert holding(folder)
    assert drop_cached(TOLD) == 1
    purge_cached()
    assert holding(folder) == []
    assert ask(*prompts) == prompts[:1]


def test_what_was_dropped_before_is_purged_too(folder: Path) -> None:
    ask(f"my word is {SECRET}")
    (shard,) = {path.parent for path in holding(folder)}
    with closing(sqlite3.connect(shard / "cache.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM Cache")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert holding(folder)
    assert drop_cached(TOLD) == 0
    purge_cached()
    assert holding(folder) == []


class Gone:
    """A class that no longer loads what was written of it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __setstate__(self, state: Any) -> None:
        raise AttributeError("text")


def test_what_cannot_be_read_is_dropped(folder: Path) -> None:
    dspy.cache.put({"prompt": "a"}, Gone(SECRET))
    assert drop_cached(Traces()) == 1
    purge_cached()
    assert holding(folder) == []


def test_what_the_process_holds_is_dropped_whole() -> None:
    ask(f"my word is {SECRET}", "other")
    assert drop_cached(Traces()) == 0
    purge_cached()
    assert ask(f"my word is {SECRET}", "other") == [f"my word is {SECRET}", "other"]


def test_the_cache_can_be_cleared_whole(folder: Path) -> None:
    ask(f"my word is {SECRET}", "other")
    clear_cache()
    assert holding(folder) == []
    assert ask("other") == ["other"]


def test_a_cache_that_others_read_is_told_of_and_can_be_purged_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_replies, "_PATIENCE", 0.05)
    ask(f"my word is {SECRET}")
    (shard,) = {path.parent for path in holding(folder)}
    drop_cached(TOLD)
    for kept in ("BEGIN", "BEGIN IMMEDIATE"):  # by a reader, which the log waits for, and by a writer
        other = sqlite3.connect(shard / "cache.db", isolation_level=None)
        other.execute(kept)
        other.execute("SELECT count(*) FROM Cache").fetchone()
        with pytest.raises(StoreBusyError, match=r"cache\.db could not be purged, since others use it; try again"):
            purge_cached()
        other.close()
    purge_cached()
    assert holding(folder) == []


def test_a_cache_that_is_damaged_is_told_in_a_sentence(folder: Path) -> None:
    ask(f"my word is {SECRET}")
    (shard,) = {path.parent for path in holding(folder)}
    disk: Any = dspy.cache.disk_cache
    disk.close()
    for path in shard.glob("cache.db*"):
        path.write_bytes(b"no database" * 1_000)
    for action in (lambda: drop_cached(TOLD), purge_cached, clear_cache):
        with pytest.raises(StoreError, match=r"cannot be purged \(.*\); mend that, or delete dspy's cache\.$"):
            action()
