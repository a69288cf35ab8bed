"""The command as a whole: what it lists, and that listing costs no import of dspy."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from click.testing import CliRunner

from rlm_module.cli.main import rlm


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(rlm, ["--help"]).stdout
    listed = [line.split()[0] for line in shown.split("Commands:\n")[1].splitlines()]
    assert listed == [
        "ask",
        "demo",
        "doctor",
        "runs",
        "show",
        "resume",
        "replay",
        "export",
        "score",
        "optimize",
        "diff",
        "eval",
    ]


def test_an_unknown_command_is_bad_usage() -> None:
    result = CliRunner().invoke(rlm, ["nonsense"])
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.stderr


def test_the_version_is_that_of_the_distribution() -> None:
    assert CliRunner().invoke(rlm, ["--version"]).stdout.split()[-1] == importlib.metadata.version("rlm-module")


def test_help_is_shown_without_importing_dspy() -> None:
    """dspy takes a second to import."""
    code = (
        "import sys; from rlm_module.cli.main import rlm\n"
        "try: rlm(['--help'])\n"
        "finally: assert 'dspy' not in sys.modules and 'litellm' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ask" in done.stdout
