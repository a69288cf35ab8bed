"""`rlm score`: a score reaches the record, and what stands against it is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rlm_module.cli.main import rlm
from rlm_module.events import AnyEvent
from rlm_module.journal import RunFolder, build_tree, read_run
from tests.journal.samples import small_run, started


def _record(journal: Path, *events: AnyEvent) -> Path:
    folder = RunFolder.create(journal, "abc")
    for event in events:
        folder.write(event)
    folder.close()
    return folder.path


def _score(journal: Path, *arguments: str) -> Result:
    return CliRunner().invoke(rlm, ["score", "--journal", str(journal), *arguments])


@pytest.mark.parametrize(("text", "score"), [("0.5", 0.5), ("-1", -1.0), ("1e-3", 0.001)])
def test_a_score_reaches_the_record(tmp_path: Path, text: str, score: float) -> None:
    folder = _record(tmp_path, *small_run())
    result = _score(tmp_path, "ab", text)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    assert build_tree(read_run(folder)).score == score


def test_a_run_that_has_not_ended_is_bad_input(tmp_path: Path) -> None:
    _record(tmp_path, started())
    result = _score(tmp_path, "abc", "1")
    assert result.exit_code == 2
    assert "has not ended" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("text", ["good", "nan", "inf"])
def test_a_score_is_a_number(tmp_path: Path, text: str) -> None:
    _record(tmp_path, *small_run())
    assert _score(tmp_path, "abc", text).exit_code == 2
