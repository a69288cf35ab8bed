"""`rlm ask` from the shell to the sandbox and back, with the offline model."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rlm_module.cli.main import rlm

LOG = "day 3: user 4 passed\nday 12: the launch code is MAGNOLIA-7\nday 13: user 9 failed\n"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.txt").write_text(LOG)


def _ask(*arguments: str) -> Result:
    return CliRunner().invoke(rlm, ["ask", *arguments])


def test_a_file_answers_a_question() -> None:
    result = _ask("log.txt", "-q", "What is the launch code?")
    assert (result.exit_code, result.stdout) == (0, "MAGNOLIA-7\n"), result.stderr


def test_a_folder_answers_a_question_and_json_tells_how() -> None:
    Path("notes").mkdir()
    Path("notes/plan.md").write_text("The rendezvous is at Pier 9.\n")
    Path("notes/photo.png").write_bytes(b"\x89PNG\0")
    result = _ask("notes", "log.txt", "-q", "What is the launch code?", "--json")
    report = json.loads(result.stdout)
    assert report["outputs"] == {"answer": "MAGNOLIA-7"}
    assert report["termination_reason"] == "submitted"
    assert report["turns"] >= 2
    assert report["cost_usd"] == 0
    assert report["usage"]["total"]["calls"] > report["turns"] - 1
    assert "Left out notes/photo.png, which is binary." in result.stderr


def test_a_limit_that_is_met_still_ends_with_an_answer() -> None:
    result = _ask("log.txt", "-q", "What is the launch code?", "--max-iters", "1")
    assert result.exit_code == 0
    assert result.stdout.strip()
    assert "Nothing was submitted (max_iters)" in result.stderr


@pytest.mark.parametrize("signature", ["SUBMIT, query -> answer", "context, query -> final_reasoning"])
def test_a_reserved_name_is_bad_input(signature: str) -> None:
    result = _ask("log.txt", "-q", "?", "-s", signature)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert "rename" in result.stderr


def test_a_text_too_wide_for_the_memory_is_bad_input() -> None:
    Path("wide.txt").write_text("𝄞" + "a" * 70_000_000)
    result = _ask("wide.txt", "-q", "?", "--memory-mb", "256")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "MiB in the sandbox, which has 256; " in result.stderr
    assert "memory_mb" in result.stderr


def test_a_cache_that_cannot_be_written_is_no_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RLM_MODULE_CACHE", str(tmp_path / "log.txt"))
    result = _ask("log.txt", "-q", "?")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "set RLM_MODULE_CACHE to a folder that can" in result.stderr


def test_on_a_terminal_the_turns_are_shown_as_they_happen() -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "rlm_module.cli", "ask", "log.txt", "-q", "What is the launch code?"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    shown = b""
    with process:
        while chunk := _read(leader):
            shown += chunk
        assert process.stdout is not None
        assert process.stdout.read() == b"MAGNOLIA-7\n"
    os.close(leader)
    assert process.returncode == 0
    assert b"turn 1: asking the model" in shown
    assert b"\x1b[2Kturn 1 \xc2\xb7 " in shown
    assert b"submitted \xc2\xb7 " in shown


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # what Linux says once the other end is closed
        return b""
