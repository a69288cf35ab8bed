"""A memory forgets what was said down to the bytes: in the store, recorded runs and dspy's cache, whatever ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import InputError
from rlm_module.journal import RunFolder, run_folders
from rlm_module.memory import Erased, Forgotten, MemorySystem, Observer, SqliteStore, forgetting
from rlm_module.sandbox.runtime import cache_folder
from tests.journal.samples import lm_called
from tests.journal.samples import user as asked
from tests.memory.cast import AS_OF, Cast, chat, noticed
from tests.scripted import fields

SECRET = "xyzzysecret"
WORDS = {"ann": SECRET, "bob": "plughword"}
ROOT = Path(__file__).parent.parent.parent


@dataclass
class World:
    """Two users who are asked, with everything kept on disk that may be.

    Args:
        folder: Where.
        journal: Whether runs are recorded.
    """

    folder: Path
    journal: bool = True

    def __post_init__(self) -> None:
        dspy.configure_cache(
            enable_disk_cache=True, enable_memory_cache=True, disk_cache_dir=str(self.folder / "cache")
        )
        (self.folder / "store").mkdir(exist_ok=True)
        self.store = SqliteStore(self.folder / "store" / "memory.db")
        journal = str(self.folder / "runs") if self.journal else None
        self.memory = MemorySystem(self.store, observer=Observer(), journal=journal)

    def close(self) -> None:
        self.store.close()
        disk: Any = dspy.cache.disk_cache
        disk.close()

    def fill(self) -> None:
        for user, word in WORDS.items():
            said = chat("words", "2024-03-01", ("user", f"My word is {word} for ever."), ("assistant", "Noted."))
            other = chat("hats", "2024-03-02", ("user", f"The hat of {user} is green."))
            with dspy.context(lm=self._cast(user).lm):
                self.memory.ingest([said, other], user=user)
            assert self.ask(user) > 0

    def ask(self, user: str) -> int:
        """Asks for the user's word; how many calls came to the LM."""
        cast = self._cast(user)
        with dspy.context(lm=cast.lm):
            assert self.memory(question=f"Which word has {user}?", as_of=AS_OF, user=user).answer == WORDS[user]
        return len(cast.asked)

    def traces(self, text: str = SECRET) -> set[str]:
        """In which of the folders a text stands."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]
        return {path.relative_to(self.folder).parts[0] for path in files}

    def _cast(self, user: str) -> Cast:
        word = WORDS[user]
        cell = (
            f"# My word is {word} for ever.\nhit = search('word', k=1)[0]\nprint(hit.text)\n"
            f"answer = ask_session(hit.session_id, 'Which word?').answer\n"
            f"assert answer == {word!r}\nSUBMIT(answer=answer, evidence=[hit.id])"
        )
        cast = Cast(
            *[cell] * 2,
            observer=lambda turns, log: noticed(
                {"kind": "fact", "subject": "word", "value": turns[0]["text"], "turns": [turns[0]["id"]]}
            ),
            reader=lambda turns, question: fields(answer=word, turns=f'["{turns[0]["id"]}"]'),
            check=fields(kind="statement", follows="True", counted="[]", dates="[]", note=user),
        )
        cast.lm.cache = True
        return cast

    def forget(self, what: str) -> Erased:
        session = "" if what == "user" else self.memory.session_id("words", user="ann") or "gonegone"
        if what == "turn":
            return self.memory.forget_turn(f"{session}.0", user="ann", purge=True)
        if what == "session":
            return self.memory.forget_session(session, user="ann", purge=True)
        return self.memory.forget_user("ann", purge=True)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every world begins with, temporary files included."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder / "temporary"))
        made = World(folder)
        made.fill()
        made.close()
    return folder


@pytest.fixture
def world(tmp_path: Path, filled: Path) -> Iterator[World]:
    made = World(shutil.copytree(filled, tmp_path / "world"))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("what", "forgotten"),
    [("turn", Forgotten(0, 1, 1)), ("session", Forgotten(1, 2, 1)), ("user", Forgotten(2, 3, 2))],
)
def test_nothing_is_left_of_what_is_forgotten_and_others_keep_theirs(
    world: World, what: str, forgotten: Forgotten
) -> None:
    assert world.traces() == {"store", "runs", "cache"}
    before = len(run_folders(world.folder / "runs"))
    erased = world.forget(what)
    assert (erased.forgotten, erased.runs) == (forgotten, 1)
    assert erased.replies >= 3  # of the root, the reader and the observer
    assert world.traces() == set()
    assert not [path for path in cache_folder().rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert len(run_folders(world.folder / "runs")) == before - 1
    assert world.traces(WORDS["bob"]) == {"store", "runs", "cache"}
    assert world.ask("bob") == 0
    assert world.forget(what) == Erased(Forgotten(0, 0, 0))
    assert bool(world.memory.memory("ann").search("green hat")) == (what != "user")


@pytest.mark.parametrize("what", ["turn", "user"])
def test_of_runs_that_were_not_recorded_replies_are_known_by_words_and_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(forgetting, "_BATCH_CHARS", 1)
    world = World(tmp_path, journal=False)
    world.fill()
    assert world.traces() == {"store", "cache"}
    assert world.forget(what).runs == 0
    assert world.traces() == set()
    assert world.traces(WORDS["bob"]) == {"store", "cache"}
    assert world.ask("bob") == 0
    world.close()


def test_without_purging_only_the_store_forgets(world: World) -> None:
    session = world.memory.session_id("words", user="ann") or ""
    assert world.memory.forget_session(session, user="ann") == Erased(Forgotten(1, 2, 1))
    assert world.traces() == {"store", "runs", "cache"}
    with pytest.raises(InputError, match=r"^There is no session '\w+'; take an id"):
        world.memory.forget_session(session, user="ann")
    assert world.memory.forget_session(session, user="ann", purge=True).runs == 1
    assert world.traces() <= {"cache"}  # replies that no run has recorded, and only the words or the id could tell


def test_an_id_that_is_not_the_users_erases_nothing_of_others(world: World) -> None:
    bobs = world.memory.session_id("words", user="bob") or ""
    disk: Any = dspy.cache.disk_cache
    disk["unrelated"] = ["Noted: the holidays."]
    others = RunFolder.create(world.folder / "runs", "unrelated")
    others.write(lm_called([asked("Which?")], f"The holidays, says {bobs}.0.", run_id="unrelated"))
    others.close()
    world.memory.forget_session("holidays", user="ann", purge=True)
    world.memory.forget_turn(f"{bobs}.0", user="ann", purge=True)
    assert others.path in run_folders(world.folder / "runs")
    assert "unrelated" in disk
    assert world.ask("bob") == 0


def test_a_run_is_known_by_its_mark_when_its_sessions_are_not_any_more(world: World) -> None:
    world.memory.forget_session(world.memory.session_id("words", user="ann") or "", user="ann")
    assert world.forget("user").runs == 1
    assert "runs" not in world.traces()


def test_a_run_under_way_is_told_of_and_the_same_call_does_the_rest(world: World) -> None:
    (run,) = [path for path in run_folders(world.folder / "runs") if SECRET in (path / "events.jsonl").read_text()]
    writing = RunFolder.reopen(run)
    with pytest.raises(InputError, match="wait until that run has ended"):
        world.forget("turn")
    writing.close()
    assert world.forget("turn").forgotten.turns == 1
    assert world.traces() == set()


def test_nobody_is_forgotten_by_mistake(world: World) -> None:
    for forget in (world.memory.forget_turn, world.memory.forget_session):
        with pytest.raises(InputError, match="Nobody is named whose memory is meant"):
            forget("zzzzzzzz")
    with pytest.raises(InputError, match="Nobody is named whose memory is meant"):
        world.memory.forget_user(purge=True)
    missing: Any = world.memory.session_id("no such session", user="ann")
    for purge in (False, True):
        with pytest.raises(InputError, match=r"^None is no id of a session; take one from a list of sessions"):
            world.memory.forget_session(missing, user="ann", purge=purge)
    assert world.traces() == {"store", "runs", "cache"}


_KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
import tests.conftest
from pathlib import Path
from tests.memory import test_erasing
from rlm_module.memory import cached_replies, forgetting, owned_runs
from rlm_module.memory.sqlite import forgetting as in_the_file

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

world = test_erasing.World(Path({folder!r}))
{place} = kill
world.forget({what!r})
"""


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("forgetting.purge_cached", "turn"),
        ("owned_runs.shutil.rmtree", "session"),
        ("in_the_file.forget_turns", "turn"),
        ("in_the_file.purge", "session"),
        ("in_the_file.purge", "user"),
    ],
)
def test_whatever_ends_it_the_same_call_does_the_rest(world: World, place: str, what: str) -> None:
    code = _KILLED.format(root=str(ROOT), folder=str(world.folder), place=place, what=what)
    died = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT, env={**os.environ}, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert world.traces() != set()
    world.forget(what)
    assert world.traces() == set()
    assert world.traces(WORDS["bob"]) == {"store", "runs", "cache"}
