"""`rlm export`: lines on stdout or in a file that is there whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rlm_module.cli.main import rlm
from rlm_module.events import Scored
from rlm_module.journal import RunFolder
from rlm_module.journal.folder import EVENTS
from tests.journal.samples import finished, lm_called, started, user


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    for run_id, score in (("aa1", 0.9), ("bb2", None)):
        folder = RunFolder.create(tmp_path / "runs", run_id)
        for event in (started(), lm_called([user("q")], f"said in {run_id}", run_id=run_id), finished()):
            folder.write(event)
        if score is not None:
            folder.write(Scored(run_id=run_id, score=score))
        folder.close()
    return tmp_path / "runs"


def _export(journal: Path, *arguments: str) -> Result:
    return CliRunner().invoke(rlm, ["export", "--journal", str(journal), *arguments])


def _runs(text: str) -> list[str]:
    return [json.loads(line)["run_id"] for line in text.splitlines()]


def test_lines_go_to_stdout_and_all_else_to_stderr(journal: Path) -> None:
    result = _export(journal, "bb", "aa", "--format", "sft")
    assert result.exit_code == 0
    assert _runs(result.stdout) == ["bb2", "aa1"]
    assert json.loads(result.stdout.splitlines()[0])["messages"] == [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "said in bb2"},
    ]
    assert result.stderr == "Conversations written: 2; runs read: 2.\n"


def test_a_run_named_twice_is_written_once(journal: Path) -> None:
    assert _runs(_export(journal, "aa", "aa1", str(journal / "aa1")).stdout) == ["aa1"]


def test_a_lowest_score_leaves_out_what_has_none(journal: Path) -> None:
    assert _runs(_export(journal, "aa", "bb", "--min-score", "0.5").stdout) == ["aa1"]
    assert _runs(_export(journal, "aa", "bb", "--min-score", "0.95").stdout) == []


def test_a_file_takes_them_instead(journal: Path, tmp_path: Path) -> None:
    out = tmp_path / "train.jsonl"
    out.write_text("old")
    result = _export(journal, "aa", "-o", str(out))
    assert (result.exit_code, result.stdout) == (0, "")
    assert _runs(out.read_text()) == ["aa1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "train.jsonl"]


def test_a_broken_run_leaves_the_file_as_it_was(journal: Path, tmp_path: Path) -> None:
    (journal / "bb2" / EVENTS).write_text("broken\n")
    out = tmp_path / "train.jsonl"
    out.write_text("old")
    result = _export(journal, "aa", "bb", "-o", str(out))
    assert result.exit_code == 2
    assert "line 1, is no event" in result.stderr
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "train.jsonl"]


def test_a_file_that_cannot_be_written_is_bad_input(journal: Path, tmp_path: Path) -> None:
    result = _export(journal, "aa", "-o", str(tmp_path / "no" / "where.jsonl"))
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_device_is_written_and_not_replaced(journal: Path) -> None:
    assert _export(journal, "aa", "-o", "/dev/null").exit_code == 0
    assert not Path("/dev/null").is_file()


def test_a_run_that_is_not_there_writes_nothing(journal: Path) -> None:
    result = _export(journal, "aa", "zz")
    assert (result.exit_code, result.stdout) == (2, "")
