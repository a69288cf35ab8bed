"""The file: other versions, other kinds, damage, kills, and several processes at once."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlm_module.errors import InputError
from rlm_module.memory import ExportedLine, SqliteStore, StoreBusyError, StoreError
from rlm_module.memory.samples import session
from rlm_module.memory.sqlite import schema
from rlm_module.memory.sqlite.schema import MIGRATIONS

ROOT = Path(__file__).parent.parent.parent
_WRITER = """
import sys
from rlm_module.memory import SqliteStore
from rlm_module.memory.samples import session
with SqliteStore(sys.argv[1]) as store:
    user = store.user("ann")
    for number in range(int(sys.argv[2]), 1_000_000):
        user.ingest([session(f"{number}", *(f"word{number} turn {place}" for place in range(50)))])
        print(number, flush=True)
"""


def sql(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_later_versions_store_is_refused_in_one_sentence_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    SqliteStore(path).close()
    sql(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"written by a later version .*; update rlm-module\.$"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_another_programs_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    sql(path, "CREATE TABLE things (a)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"is a database of something else; name another file"):
        SqliteStore(path)
    assert path.read_bytes() == before
    (tmp_path / "text").write_text("no database at all, but long enough to have a header of one" * 10)
    with pytest.raises(StoreError, match="is no store, or is damaged"):
        SqliteStore(tmp_path / "text")
    with pytest.raises(StoreError, match="cannot be used"):
        SqliteStore(tmp_path / "no such folder" / "memory.db")


def test_migrations_that_files_have_had_do_not_change() -> None:
    """A change would leave files that were made before without it: append another migration."""
    found = [hashlib.sha256("\n".join(map(str.strip, migration)).encode()).hexdigest()[:12] for migration in MIGRATIONS]
    assert found == ["cb7b51b733e3"]


def test_an_earlier_versions_store_is_brought_up_to_date_with_all_that_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "memory.db"
    with SqliteStore(path) as store:
        store.user("ann").ingest([session("a", "one", "two")])
        before = list(store.user("ann").export())
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE notes (text TEXT)", "SELECT broken")))
    with pytest.raises(StoreError, match="cannot be used"):
        SqliteStore(path)
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE notes (text TEXT)",)))
    for _ in range(2):
        with SqliteStore(path) as store:
            assert list(store.user("ann").export()) == before
    sql(path, "INSERT INTO notes VALUES ('there')")


def test_who_has_begun_to_write_is_not_overtaken(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with SqliteStore(path) as store, SqliteStore(path, patience=0.05) as other:
        ann, bob = store.user("ann"), other.user("bob")
        ann.ingest([session("a", "one")])
        lines = list(ann.export())
        ann.forget_session(ann.session_id("a") or "")

        def overtaken() -> Iterator[ExportedLine]:
            with pytest.raises(StoreBusyError):
                bob.ingest([session("b", "two")])
            yield from lines

        assert ann.restore(overtaken()).added == 1
        assert bob.ingest([session("b", "two")]).added == 1


def test_a_writer_waits_for_its_turn_and_then_says_so(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with SqliteStore(path, patience=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match=r"in use by others for more than 0\.05 s; try again"):
            store.user("ann").ingest([session("a", "one")])
        assert store.user("ann").list_sessions().items == ()  # readers don't wait
        other.execute("ROLLBACK")
        other.close()
        assert store.user("ann").ingest([session("a", "one")]).added == 1


def test_the_patience_is_half_a_minute() -> None:
    assert SqliteStore.__init__.__kwdefaults__ == {"patience": 30.0}


def committed(lines: list[str]) -> int:
    """How many sessions a writer said it had written; a number that was cut off does not count."""
    return sum(1 for line in lines if line.endswith("\n"))


def test_a_killed_writer_loses_nothing_it_had_committed(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    SqliteStore(path).close()
    source, written = random.Random(7), 0
    for _ in range(20):
        command = [sys.executable, "-c", _WRITER, str(path), str(written)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(source.randint(1, 3))]
        threading.Event().wait(source.random() * 0.02)  # into the next transaction, or its checkpoint
        os.kill(writer.pid, signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait()
        with SqliteStore(path) as store:
            exported = list(store.user("ann").export())
        told = written + committed(lines)
        assert told <= len(exported) <= told + 1  # one may have been committed and not told
        names = [getattr(line, "id", "") for line in exported]
        assert names == [str(number) for number in range(len(names))]
        assert {len(getattr(line, "turns", ())) for line in exported} == {50}
        written = len(exported)
    with SqliteStore(path) as store:
        assert [hit.turn.text for hit in store.user("ann").search(f"word{written - 1}", 50)] != []
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.execute("INSERT INTO turn_words (turn_words) VALUES ('integrity-check')")
    check.close()


def test_readers_and_a_writer_in_threads_and_processes_meet_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    SqliteStore(path).close()
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), "0"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    errors: list[Exception] = []
    done = threading.Event()

    def read(store: SqliteStore) -> None:
        user = store.user("ann")
        while not done.is_set():
            try:
                for line in user.list_sessions(limit=5).items:
                    assert len(user.get_session(line.id).turns) == 50
                user.search("word3 turn")
            except Exception as error:
                errors.append(error)
                return

    with SqliteStore(path) as store:
        threads = [threading.Thread(target=read, args=(store,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert writer.stdout is not None
        for _ in range(40):  # sessions written by the other process, while this one writes, too
            writer.stdout.readline()
            store.user("bob").ingest([session("b", "one")], replace=True)
        done.set()
        for thread in threads:
            thread.join()
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert errors == []


def test_several_processes_may_make_the_file_at_once(tmp_path: Path) -> None:
    code = "import sys; from rlm_module.memory import SqliteStore; SqliteStore(sys.argv[1]).close()"
    makers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "memory.db")], cwd=ROOT) for _ in range(4)]
    assert [maker.wait() for maker in makers] == [0] * 4


def test_half_a_character_from_generated_code_is_a_wrong_argument(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "memory.db") as store:
        ann = store.user("ann")
        ann.ingest([session("a", "a cat")])
        assert [hit.turn.text for hit in ann.search("\ud83d one cat")] == ["a cat"]
        for action in (
            lambda: ann.get_session("\ud83d"),
            lambda: ann.timeline("\ud83d"),
        ):
            with pytest.raises(InputError, match="half of a character"):
                action()
