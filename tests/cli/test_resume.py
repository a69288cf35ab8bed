"""`rlm resume` and `rlm replay`, and `rlm ask --journal` before them: real runs on the offline model."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from click.testing import CliRunner, Result

from rlm_module import RLM
from rlm_module.cli.main import rlm
from rlm_module.journal import run_folders
from rlm_module.journal.folder import EVENTS
from tests.scripted import ScriptedLM, turn


def _invoke(command: str, journal: Path, *arguments: str) -> Result:
    return CliRunner().invoke(rlm, [command, "--journal", str(journal), *arguments])


def _only(journal: Path) -> Path:
    (folder,) = run_folders(journal)
    return folder


def _record(journal: Path, *replies: Any, tools: list[Any] | None = None) -> Path:
    lm = ScriptedLM(replies)
    with dspy.context(lm=lm), contextlib.suppress(KeyboardInterrupt):
        RLM("q -> a", tools=tools, journal=journal)(q="1")
    return _only(journal)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ScriptedLM:
    """The model that any name stands for."""
    lm = ScriptedLM([turn("SUBMIT(a=x)")])
    monkeypatch.setattr("rlm_module.cli.resume.model_or_offline", lambda name: lm)
    return lm


def test_a_run_goes_on_and_its_answer_alone_is_on_standard_output(tmp_path: Path, model: ScriptedLM) -> None:
    folder = _record(tmp_path, turn("x = 'kept'\nprint(x)"), KeyboardInterrupt())
    result = _invoke("resume", tmp_path, folder.name[:8], "-m", "some/model")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "kept\n", "")
    assert len(model.requests) == 1


def test_turns_are_shown_where_that_is_asked_for(tmp_path: Path, model: ScriptedLM) -> None:
    folder = _record(tmp_path, turn("x = 'kept'"), KeyboardInterrupt())
    result = _invoke("resume", tmp_path, str(folder), "-v")
    assert result.stdout == "kept\n"
    assert "No model is named" in result.stderr
    assert "SUBMIT(a=x)" in result.stderr


def test_a_finished_run_is_not_resumed(tmp_path: Path, model: ScriptedLM) -> None:
    folder = _record(tmp_path, turn("SUBMIT(a='x')"))
    result = _invoke("resume", tmp_path, folder.name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].endswith("is finished (submitted): `rlm show` has its answer.")


def test_a_run_that_needs_a_program_s_tools_is_left_to_it(tmp_path: Path, model: ScriptedLM) -> None:
    def look() -> str:
        return ""

    folder = _record(tmp_path, turn("x = 1"), KeyboardInterrupt(), tools=[look])
    result = _invoke("resume", tmp_path, folder.name)
    assert result.exit_code == 2
    assert "needs the tools look, which no journal holds" in result.stderr


@pytest.mark.parametrize("command", ["resume", "replay"])
def test_what_is_no_run_is_bad_input(command: str, tmp_path: Path) -> None:
    result = _invoke(command, tmp_path, "nothing")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is no run in" in result.stderr


def test_a_run_is_asked_recorded_and_replayed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The code is 4711.")
    journal = tmp_path / "runs"
    asked = _invoke("ask", journal, str(tmp_path / "a.txt"), "-q", "What is the code?")
    assert asked.exit_code == 0, asked.stderr
    replayed = _invoke("replay", journal, _only(journal).name)
    assert (replayed.exit_code, replayed.stdout) == (0, asked.stdout)
    assert replayed.stderr.splitlines() == ["The same answer as recorded."]


def test_a_run_that_does_not_repeat_itself_is_told_by_its_turn(tmp_path: Path) -> None:
    folder = _record(tmp_path, turn("print(1)"), turn("SUBMIT(a='x')"))
    lines = [json.loads(line) for line in (folder / EVENTS).read_text().splitlines()]
    changed = [{**line, "output": "2"} if line.get("output") == "1" else line for line in lines]
    (folder / EVENTS).write_text("".join(json.dumps(line) + "\n" for line in changed))
    result = _invoke("replay", tmp_path, folder.name)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: Turn 1 did not repeat itself")


def test_a_run_that_was_cut_off_has_nothing_to_be_equal_to(tmp_path: Path) -> None:
    folder = _record(tmp_path, turn("print(1)"), KeyboardInterrupt())
    result = _invoke("replay", tmp_path, folder.name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1] == "Error: the record ends here"
