"""`rlm replay`: a recorded run is run again offline, to see whether it comes to the same."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from rlm_module.cli.answers import plain, print_answer
from rlm_module.cli.exits import NO_ANSWER, reported_failures
from rlm_module.cli.recorded import journal_option, note
from rlm_module.journal import find_run


@click.command()
@click.argument("run")
@journal_option
def replay(run: str, journal: Path) -> None:
    """Run a recorded run again, without any model.

    RUN is the beginning of a run's id, as `rlm runs` lists them, or the folder of a run. Its cells run in a new
    sandbox; what its models and tools answered is taken from the record, which stays as it is. The answer goes to
    standard output. Exit status: 0 if it is the recorded one, 1 if it is not or a turn did not repeat itself, 2 if the
    run cannot be read, 3 if the sandbox is not available, 130 after Ctrl-C.
    """
    with reported_failures():
        from rlm_module import replay_run  # dspy takes a second to import, which `rlm --help` should not

        folder = find_run(run, [journal])
        with contextlib.redirect_stdout(sys.stderr):
            found = replay_run(folder)
    if found.outputs:
        print_answer(plain(found.outputs))
    if found.is_same:
        note("The same answer as recorded.")
        return
    note(f"Error: {found.fault or 'The answer is another than recorded.'}")
    raise click.exceptions.Exit(NO_ANSWER)
