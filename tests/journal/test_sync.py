"""When what was written reaches the disk itself: counted, as a clock would tell nothing."""

from __future__ import annotations

import errno
import logging
import threading
from pathlib import Path

import pytest

from rlm_module.events import AnyEvent
from rlm_module.journal import RunFolder, sync
from rlm_module.journal.folder import EVENTS
from tests.journal.disks import Disk
from tests.journal.samples import acted, call, cell, lm_called, started


def test_a_group_leaves_time_for_the_sync_itself() -> None:
    assert sync.GROUP_SECONDS <= 0.025


@pytest.mark.parametrize("paid", [lm_called([], ""), acted(), call(1)[1]], ids=lambda event: event.tag)
def test_what_was_paid_for_is_synced_while_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paid: AnyEvent
) -> None:
    disk = Disk(monkeypatch, tmp_path / "r1" / EVENTS)
    folder = RunFolder.create(tmp_path, "r1")
    folder.write(paid)
    assert disk.syncing.wait(60)
    folder.close()


def test_what_cost_nothing_waits_for_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, tmp_path / "r1" / EVENTS)
    folder = RunFolder.create(tmp_path, "r1")
    for _ in range(50):
        folder.write(cell())
    assert "rlm-journal-sync" not in [thread.name for thread in threading.enumerate()]
    folder.close()
    assert disk.syncs == 1


def test_nothing_new_is_no_reason_to_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "GROUP_SECONDS", 0)
    disk = Disk(monkeypatch, tmp_path / "r1" / EVENTS)
    folder = RunFolder.create(tmp_path, "r1")
    for turn in range(20):
        disk.syncing.clear()
        folder.write(acted(turn))
        assert disk.syncing.wait(60)
    folder.close()
    assert disk.syncs <= 21


def test_what_comes_during_a_sync_shares_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, tmp_path / "r1" / EVENTS, hold=True)
    folder = RunFolder.create(tmp_path, "r1")
    folder.write(acted())
    assert disk.syncing.wait(60)
    for turn in range(200):  # none of them waits, though the disk does
        folder.write(acted(turn))
    assert disk.syncs == 1
    disk.syncing.clear()
    disk.release.set()
    assert disk.syncing.wait(60)
    folder.close()
    assert disk.syncs <= 3


def test_a_sync_that_fails_is_told_once_and_ends_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(monkeypatch, tmp_path / "r1" / EVENTS, sync_error=errno.EIO)
    folder = RunFolder.create(tmp_path, "r1")
    folder.write(started())
    folder.write(acted())
    assert disk.syncing.wait(60)
    folder.close()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "check its disk" in warnings[0]
    assert folder.fault is not None


def test_inputs_are_synced_by_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create(tmp_path, "r1")
    digest = folder.store_input("text")
    assert digest is not None
    disk = Disk(monkeypatch, folder.path / "inputs" / digest)
    folder.close()
    assert disk.syncs == 1
