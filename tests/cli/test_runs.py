"""`rlm runs`: aligned for a person, JSON for a program, and one run that cannot be read hides no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rlm_module.cli.main import rlm
from rlm_module.events import AnyEvent, Scored
from rlm_module.journal import RunFolder
from rlm_module.journal.folder import EVENTS, INPUTS
from tests.journal.samples import acted, call, cell, finished, lm_called, small_run, started, usage


def _record(journal: Path, run_id: str, *events: AnyEvent) -> Path:
    folder = RunFolder.create(journal, run_id)
    for event in events:
        folder.write(event)
    folder.close()
    return folder.path


def _runs(journal: Path, *arguments: str) -> Result:
    return CliRunner().invoke(rlm, ["runs", "--journal", str(journal), *arguments])


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    batch = [*call(1, "llm_query_batched"), *call(2, batch=1), *call(3, batch=1)]
    spent = lm_called([], "", usage=usage(12_345, 0.5))
    _record(
        tmp_path, "aaaaaaaa11", started(at=10.0), spent, acted(), *batch, cell(), finished(),
        Scored(run_id="r1", score=0.75),
    )  # fmt: skip
    _record(tmp_path, "aaaaaaaa22", started(at=20.0, task="Unfinished"), lm_called([], "", usage=usage(1, None)))
    return tmp_path


def test_runs_are_listed_newest_first_in_columns(journal: Path) -> None:
    result = _runs(journal)
    assert (result.exit_code, result.stderr) == (0, "")
    head, second, _, first, _ = result.stdout.splitlines()
    assert head.split() == ["run", "when", "task", "ended", "turns", "calls", "tokens", "cost", "score"]
    assert second.split()[0] == "aaaaaaaa2"
    assert second.split()[3:] == ["Unfinished", "unfinished", "0", "0", "1", "unknown"]
    assert first.split()[3:] == ["QA", "submitted", "1", "2", "12,345", "$0.5000", "0.75"]
    for name in ("when", "task", "ended"):
        assert head[head.index(name) - 1] == second[head.index(name) - 1] == first[head.index(name) - 1] == " "
    for name in ("turns", "calls", "tokens"):
        end = head.index(name) + len(name)
        assert not second[end].strip()
        assert second[end - 1].strip()
        assert first[end - 1].strip()


def test_json_is_for_programs(journal: Path) -> None:
    newest, oldest = json.loads(_runs(journal, "--json").stdout)
    assert (newest["run_id"], newest["termination_reason"], newest["cost_usd"]) == ("aaaaaaaa22", None, None)
    assert oldest == {
        "run_id": "aaaaaaaa11",
        "folder": str(journal / "aaaaaaaa11"),
        "started_at": 10.0,
        "task": "QA",
        "asked": ["q: str"],
        "termination_reason": "submitted",
        "seconds": 8.0,
        "turns": 1,
        "calls": 2,
        "tokens": 12_345,
        "cost_usd": 0.5,
        "score": 0.75,
    }


def test_a_run_that_cannot_be_read_is_told_of_and_hides_no_other(journal: Path) -> None:
    (journal / "aaaaaaaa22" / EVENTS).write_text("broken\n" * 2)
    RunFolder.create(journal, "empty").close()
    result = _runs(journal)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 3
    assert [line.split(" ")[0] for line in result.stderr.splitlines()] == ["aaaaaaaa22", "empty"]


def test_a_run_from_a_newer_version_is_told_with_the_mend(journal: Path) -> None:
    (journal / "aaaaaaaa22" / EVENTS).write_text('{"v": 2, "tag": "run_started"}\n')
    assert "upgrade rlm-module to read it." in _runs(journal).stderr


def test_no_runs_are_no_fault(tmp_path: Path) -> None:
    result = _runs(tmp_path / "nothing")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No runs are recorded" in result.stderr
    assert json.loads(_runs(tmp_path / "nothing", "--json").stdout) == []


def test_what_is_no_folder_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = _runs(tmp_path / "file")
    assert result.exit_code == 2
    assert "cannot be listed" in result.stderr


def test_the_environment_names_the_journal(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLM_MODULE_JOURNAL", str(journal))
    assert len(CliRunner().invoke(rlm, ["runs"]).stdout.splitlines()) == 5


def test_a_record_cannot_play_with_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b[2J\nx"
    begun = started(task=evil, instructions=evil, inputs={evil: evil}, stored={evil: "a\0b"}, at=1e300)
    _record(tmp_path, "r1", begun, *small_run()[1:])
    result = _runs(tmp_path)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 3


def test_below_each_run_stands_what_it_was_asked_cut_to_the_terminal(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(journal, "bbbbbbbb11")
    inputs = {"log": "x" * 5_000, "query": "Which pump\nfailed first, and why?", "gone": "y", "k": 3}
    stored = {name: folder.store_input(value) for name, value in inputs.items()}
    folder.write(started(instructions="Be brief.", inputs=dict.fromkeys(inputs, "any"), stored=stored, at=30.0))
    folder.close()
    (folder.path / INPUTS / str(stored["gone"])).unlink()
    asked = ["Be brief.", "query: Which pump failed first, and why?", "k: 3", "log: any", "gone: any"]
    assert json.loads(_runs(journal, "--json").stdout)[0]["asked"] == asked
    monkeypatch.setenv("COLUMNS", "60")
    assert _runs(journal).stdout.splitlines()[2] == " " * 11 + "Be brief. · query: Which pump failed first, and …"
