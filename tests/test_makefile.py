"""What the targets of the Makefile tell whoever waits for them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("target", ["demo", "lint"])
def test_an_installation_is_told_of_in_one_line_and_happens_once(target: str, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    (tmp_path / "bin").mkdir()
    for name, script in {"pip": f"echo $1 >> {installed}", "rlm": "echo shown", "ruff": "echo linted"}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o700)
    make = ["make", "--silent", "--no-print-directory", "-C", str(ROOT), f"VENV={tmp_path}", target]
    first, second = (subprocess.run(make, capture_output=True, text=True, check=True) for _ in range(2))
    assert first.stderr.startswith("Installing rlm-module ")
    assert first.stderr.count("\n") == 1
    assert (first.stdout, second.stderr) == (second.stdout, "")
    assert installed.read_text() == "install\n"
