from __future__ import annotations

import errno
import logging
import math
import os
from pathlib import Path

import pytest

from rlm_module.errors import InputError
from rlm_module.events import Resumed
from rlm_module.journal import RunFolder, build_tree, read_run, score_run
from rlm_module.journal.folder import EVENTS
from tests.journal.disks import Disk
from tests.journal.samples import finished, small_run, started


def _recorded(journal: Path, *events: object) -> Path:
    folder = RunFolder.create(journal, "r1")
    for event in events or small_run():
        folder.write(event)  # type: ignore[arg-type]
    folder.close()
    return folder.path


def test_the_last_score_counts(tmp_path: Path) -> None:
    folder = _recorded(tmp_path)
    score_run(folder, 1)
    score_run(folder / EVENTS, -0.5)
    assert build_tree(read_run(folder)).score == -0.5
    assert read_run(folder)[: len(small_run())] == small_run()


def test_a_run_that_goes_on_has_no_answer_to_score(tmp_path: Path) -> None:
    cut_off = _recorded(tmp_path / "one", started())
    resumed = _recorded(tmp_path / "two", started(), finished(), Resumed(run_id="r1", turns=1))
    for folder in (cut_off, resumed):
        before = (folder / EVENTS).read_bytes()
        with pytest.raises(InputError, match="has not ended"):
            score_run(folder, 1)
        assert (folder / EVENTS).read_bytes() == before


def test_a_run_that_is_being_written_is_not_scored(tmp_path: Path) -> None:
    folder = _recorded(tmp_path)
    writer = RunFolder.reopen(folder)
    with pytest.raises(InputError, match="another process"):
        score_run(folder, 1)
    writer.close()


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_is_a_number(tmp_path: Path, score: float) -> None:
    with pytest.raises(InputError, match="finite number"):
        score_run(_recorded(tmp_path), score)


def test_a_disk_that_does_not_take_it_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _recorded(tmp_path)
    Disk(monkeypatch, folder / EVENTS, room=0)
    with pytest.raises(InputError, match=os.strerror(errno.ENOSPC)):
        score_run(folder, 1)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert read_run(folder) == small_run()
