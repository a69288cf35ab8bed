"""A run's folder as it is written: private, whole whenever its writer dies, and never the end of a run."""

from __future__ import annotations

import errno
import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlm_module.errors import InputError
from rlm_module.events import AnyEvent, Scored, TurnStarted
from rlm_module.journal import Journal, RunFolder, load_input, read_run
from rlm_module.journal.folder import EVENTS, INPUTS, TORN
from rlm_module.journal.lines import to_line
from tests.journal.disks import Disk
from tests.journal.samples import acted, lm_called, small_run, started, user

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _write(folder: RunFolder, *events: AnyEvent) -> None:
    for event in events:
        folder.write(event)
    folder.close()


def _lines(*events: AnyEvent) -> bytes:
    return b"".join(to_line(event) for event in events)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_events_come_back_in_order(tmp_path: Path) -> None:
    _write(RunFolder.create(tmp_path / "new" / "runs", "r1"), *small_run())
    assert read_run(tmp_path / "new" / "runs" / "r1") == small_run()
    assert read_run(tmp_path / "new" / "runs" / "r1" / EVENTS) == small_run()


@pytest.mark.usefixtures("open_umask")
def test_only_the_user_may_look(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "r1")
    digest = folder.store_input("text")
    assert digest is not None
    _write(folder, *small_run())
    (folder.path / EVENTS).write_bytes(_lines(started()) + b"{torn")
    RunFolder.reopen(folder.path).close()
    assert [_mode(folder.path), _mode(folder.path / INPUTS)] == [0o700, 0o700]
    files = [EVENTS, TORN, f"{INPUTS}/{digest}"]
    assert [_mode(folder.path / name) for name in files] == [0o600] * 3


def test_each_event_is_in_the_file_as_soon_as_it_is_recorded(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "r1")
    journal = Journal("r1", store=folder)
    for count, event in enumerate(small_run(), 1):
        journal.record(event)
        assert read_run(folder.path) == small_run()[:count]
    journal.close()


def test_each_event_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, tmp_path / "r1" / EVENTS)
    _write(RunFolder.create(tmp_path, "r1"), *small_run())
    assert disk.writes == [len(to_line(event)) for event in small_run()]


def test_a_system_that_takes_a_few_bytes_at_a_time_gets_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, tmp_path / "r1" / EVENTS, at_once=7)
    _write(RunFolder.create(tmp_path, "r1"), *small_run())
    assert (tmp_path / "r1" / EVENTS).read_bytes() == _lines(*small_run())


def test_a_disk_that_fills_up_anywhere_leaves_whole_lines_and_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events = small_run()[:3]
    for room in range(len(_lines(*events))):
        caplog.clear()
        run_id = f"r{room}"
        with monkeypatch.context() as patch:
            Disk(patch, tmp_path / run_id / EVENTS, room=room)
            folder = RunFolder.create(tmp_path, run_id)
            journal = Journal(run_id, store=folder)
            for event in [*events, *events]:
                journal.record(event)
            journal.close()
        fitting = [count for count in range(4) if len(_lines(*events[:count])) <= room]
        assert read_run(folder.path) == events[: fitting[-1]]
        assert journal.events == (*events, *events)
        [warning] = _warnings(caplog)
        assert str(folder.path) in warning
        assert "No space left on device" in warning
        assert warning.endswith("free some space.")


def test_what_comes_after_a_fault_is_not_written_even_if_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, "r1")
    with monkeypatch.context() as patch:
        Disk(patch, folder.path / EVENTS, room=10)
        folder.write(started())
    folder.write(started())
    assert folder.store_input("text") is None
    folder.close()
    assert (folder.path / EVENTS).read_bytes() == b""
    assert folder.fault is not None


def test_a_limit_of_the_system_is_no_end_of_the_run(tmp_path: Path) -> None:
    code = f"""
import logging, resource, sys
logging.basicConfig(format="%(message)s")
from rlm_module.journal import Journal, RunFolder
from tests.journal.samples import small_run
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
journal = Journal("r1", store=RunFolder.create({str(tmp_path)!r}, "r1"))
for _ in range(20):
    for event in small_run():
        journal.record(event)
journal.close()
print(len(journal.events))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{20 * len(small_run())}\n"), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "File too large" in done.stderr
    kept = read_run(tmp_path / "r1")
    assert kept == (small_run() * 20)[: len(kept)]
    assert kept


def test_a_file_in_the_folders_place_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "runs").write_text("")
    for journal in (tmp_path / "runs", tmp_path / "runs" / "below"):
        caplog.clear()
        folder = RunFolder.create(journal, "r1")
        assert folder.store_input("x") is None
        _write(folder, *small_run())
        [warning] = _warnings(caplog)
        assert str(journal) in warning
        assert warning.endswith("name a folder.")


@pytest.mark.parametrize(
    ("code", "mend"),
    [(errno.EACCES, "make it writable"), (errno.EROFS, "name another folder"), (errno.EIO, "check its disk")],
)
def test_a_folder_that_cannot_be_written_is_told_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int, mend: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "mkdir", refuse)
    folder = RunFolder.create(tmp_path, "r1")
    _write(folder, *small_run())
    [warning] = _warnings(caplog)
    assert os.strerror(code) in warning
    assert mend in warning
    assert not list(tmp_path.iterdir())


def test_a_run_is_not_written_over(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "r1").close()
    with pytest.raises(InputError, match="holds a run already"):
        RunFolder.create(tmp_path, "r1")


class TestReopening:
    def test_goes_on_after_what_is_there(self, tmp_path: Path) -> None:
        _write(RunFolder.create(tmp_path, "r1"), *small_run()[:4])
        _write(RunFolder.reopen(tmp_path / "r1"), *small_run()[4:])
        assert read_run(tmp_path / "r1") == small_run()
        assert not (tmp_path / "r1" / TORN).exists()

    def test_after_a_kill_at_any_byte_loses_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Disk(monkeypatch, tmp_path / "none")
        monkeypatch.setattr(os, "fsync", lambda _: None)
        events = small_run()[:3]
        whole = _lines(*events)
        RunFolder.create(tmp_path, "r1").close()
        path, torn = tmp_path / "r1" / EVENTS, tmp_path / "r1" / TORN
        scored = Scored(run_id="r1", score=1.0)
        for length in range(len(whole) + 1):
            path.write_bytes(whole[:length])
            torn.unlink(missing_ok=True)
            before = read_run(path)
            _write(RunFolder.reopen(path.parent), scored)
            assert read_run(path) == (*before, scored)
            kept = path.read_bytes().removesuffix(_lines(scored))
            aside = torn.read_bytes() if torn.exists() else b""
            assert (kept + aside).rstrip(b"\n") == whole[:length].rstrip(b"\n")

    def test_finds_the_tail_of_a_long_line(self, tmp_path: Path) -> None:
        RunFolder.create(tmp_path, "r1").close()
        path = tmp_path / "r1" / EVENTS
        torn = to_line(lm_called([user("x" * 200_000)], "y"))[:-5]
        path.write_bytes(_lines(started()) + torn)
        _write(RunFolder.reopen(path.parent), acted())
        assert read_run(path) == (started(), acted())
        assert (tmp_path / "r1" / TORN).read_bytes() == torn + b"\n"

    def test_a_torn_tail_is_told_in_one_sentence(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        RunFolder.create(tmp_path, "r1").close()
        (tmp_path / "r1" / EVENTS).write_bytes(_lines(started()) + b'{"v": 1, "ta')
        RunFolder.reopen(tmp_path / "r1").close()
        [warning] = _warnings(caplog)
        assert TORN in warning

    def test_needs_a_run(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="holds no run"):
            RunFolder.reopen(tmp_path)

    def test_clears_away_inputs_that_were_being_written(self, tmp_path: Path) -> None:
        RunFolder.create(tmp_path, "r1").close()
        (tmp_path / "r1" / INPUTS / "half.tmp").write_text("ha")
        RunFolder.reopen(tmp_path / "r1").close()
        assert list((tmp_path / "r1" / INPUTS).iterdir()) == []


class TestWriters:
    def test_threads_write_whole_lines(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path, "r1")
        turns = [TurnStarted(run_id="r1", turn=turn, at=float(turn)) for turn in range(200)]
        threads = [threading.Thread(target=lambda n=n: [folder.write(t) for t in turns[n::8]]) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        folder.close()
        assert sorted(read_run(folder.path), key=lambda event: event.at) == turns

    def test_only_one_at_a_time_has_a_run(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path, "r1")
        with pytest.raises(InputError, match="written by another process"):
            RunFolder.reopen(folder.path)
        folder.close()
        RunFolder.reopen(folder.path).close()

    def test_another_process_is_refused(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path, "r1")
        code = f"from rlm_module.journal import RunFolder; RunFolder.reopen({str(folder.path)!r})"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        folder.close()
        assert "is being written by another process; wait until" in done.stderr

    def test_a_process_that_is_killed_lets_go(self, tmp_path: Path) -> None:
        code = (
            "import os, signal\nfrom rlm_module.journal import RunFolder\nfrom tests.journal.samples import small_run\n"
            f"folder = RunFolder.create({str(tmp_path)!r}, 'r1')\nfor event in small_run(): folder.write(event)\n"
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
        folder = RunFolder.reopen(tmp_path / "r1")
        assert read_run(folder.path) == small_run()
        folder.close()

    def test_closing_twice_and_writing_after_it_do_nothing(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path, "r1")
        folder.close()
        _write(folder, started())
        assert read_run(folder.path) == ()


class TestInputs:
    @pytest.mark.parametrize("value", ["text \ud800 ü", b"\x00\xff", {"a": [1, (2, {3})]}, "", None])
    def test_come_back_as_they_were(self, tmp_path: Path, value: Any) -> None:
        folder = RunFolder.create(tmp_path, "r1")
        digest = folder.store_input(value)
        folder.close()
        assert digest is not None
        assert load_input(folder.path, digest) == value

    def test_each_value_is_there_once(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path, "r1")
        digests = [folder.store_input(value) for value in ("same", "same", "other")]
        folder.close()
        assert digests[0] == digests[1]
        assert {path.name for path in (folder.path / INPUTS).iterdir()} == set(digests)

    def test_a_value_that_cannot_cross_is_left_out_and_the_next_one_kept(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path, "r1")
        assert folder.store_input(object()) is None
        assert folder.fault is None
        assert folder.store_input("x") is not None
        folder.close()
        assert len(list((folder.path / INPUTS).iterdir())) == 1

    def test_a_full_disk_leaves_no_half_of_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = RunFolder.create(tmp_path, "r1")

        def full(fd: int, data: memoryview) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            assert folder.store_input("text") is None
        folder.close()
        assert list((folder.path / INPUTS).iterdir()) == []
        assert len(_warnings(caplog)) == 1


def test_credentials_of_the_environment_and_of_the_caller_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "environment-key")
    folder = RunFolder.create(tmp_path, "r1", secrets=["callers-own-key", "short"])
    _write(folder, lm_called([user("environment-key and callers-own-key, in short")], ""))
    written = (folder.path / EVENTS).read_text()
    assert "[secret] and [secret], in short" in written
