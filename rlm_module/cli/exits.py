"""What the command's exit status says, and the one sentence that goes with a failure."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import click

from rlm_module.errors import FatalError, InputError, SandboxError, first_paragraph

ANSWERED = 0
NO_ANSWER = 1
BAD_INPUT = 2
NO_SANDBOX = 3
INTERRUPTED = 130

EXITS = """\b
Exit status:
  0    there is an answer, if need be one drawn up when a limit was met
  1    the run ended without an answer
  2    the options or the input cannot be used
  3    the sandbox or its runtime is not available: see `rlm doctor`
  130  stopped with Ctrl-C
"""


@contextmanager
def reported_failures() -> Generator[None]:
    """Turns the package's errors into a sentence on stderr and an exit status.

    Raises:
        click.exceptions.Exit: With the status, after the sentence is out.
    """
    try:
        yield
    except FatalError as error:
        click.echo(f"Error: {sentence(error)}", err=True)
        status = BAD_INPUT if isinstance(error, InputError) else NO_ANSWER
        raise click.exceptions.Exit(NO_SANDBOX if isinstance(error, SandboxError) else status) from error
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None


def sentence(error: BaseException) -> str:
    """An error's first paragraph as a sentence."""
    text = first_paragraph(error) or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
