"""What the commands that read a journal share: the option that names it, and how its text reaches a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rlm_module.cli.display import printable

journal_option = click.option(
    "--journal",
    envvar="RLM_MODULE_JOURNAL",
    show_envvar=True,
    default="runs",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The folder that runs were recorded in.",
)


def one_line(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey."""
    return printable(" ".join(text.split()))


def say(text: str) -> None:
    """Prints the answer; what the output's encoding lacks is spelt out."""
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def note(text: str) -> None:
    """Prints what is not the answer."""
    click.echo(printable(text), err=True)
