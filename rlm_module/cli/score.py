"""`rlm score`: a judgement of a run's answer, added to its record."""

from __future__ import annotations

from pathlib import Path

import click

from rlm_module.cli.exits import reported_failures
from rlm_module.cli.recorded import journal_option, note
from rlm_module.journal import find_run, score_run


# A score below zero is no option.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("run")
@click.argument("score", type=float)
@journal_option
def score(run: str, score: float, journal: Path) -> None:
    """Add a score to a recorded run that has ended.

    RUN is the beginning of a run's id, as `rlm runs` lists them, or the folder of a run. The last score counts, in
    `rlm runs` and for `rlm export --min-score`. Exit status: 0, or 2 if the run cannot be scored.
    """
    with reported_failures():
        folder = find_run(run, [journal])
        score_run(folder, score)
        note(f"{folder.name} has the score {score:g}.")
