"""`rlm resume`: a run that was cut off goes on, out of its journal."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rlm_module.cli.answers import plain, print_answer
from rlm_module.cli.display import TurnDisplay
from rlm_module.cli.exits import EXITS, reported_failures
from rlm_module.cli.models import model_or_offline
from rlm_module.cli.recorded import journal_option, note
from rlm_module.errors import FatalError
from rlm_module.journal import find_run

if TYPE_CHECKING:  # dspy takes a second to import, which `rlm --help` should not
    from rlm_module import RunPrediction


@click.command(epilog=EXITS)
@click.argument("run")
@click.option("-m", "--model", envvar="RLM_MODEL", show_envvar=True, help="The leading model, such as openai/gpt-5.")
@journal_option
@click.option("-v", "--verbose", is_flag=True, help="Show each turn's code and output, on a terminal or not.")
def resume(run: str, model: str | None, journal: Path, verbose: bool) -> None:
    """Go on with a run that was killed, stopped or failed.

    RUN is the beginning of a run's id, as `rlm runs` lists them, or the folder of a run. What it has paid for is not
    paid for again. A run with tools, types or models of a program's own is resumed by that program.

    The answer goes to standard output, all else to standard error. Where no model is named the offline one answers.
    """
    with reported_failures():
        prediction = _resumed(find_run(run, [journal]), model, verbose=verbose)
    facts = prediction.run
    if facts.termination_reason != "submitted":
        note(f"Nothing was submitted ({facts.termination_reason}).")
    print_answer(plain(facts.outputs))


def _resumed(folder: Path, model: str | None, *, verbose: bool) -> RunPrediction:
    import dspy

    from rlm_module import RLM, capture_runs

    is_shown = verbose or sys.stderr.isatty()
    shown = capture_runs(on_event=TurnDisplay(sys.stderr, full=verbose)) if is_shown else None
    if not model:
        note("No model is named (-m or RLM_MODEL): the offline one answers, which finds and counts, no more.")
    # Libraries under a model may print; standard output belongs to the answer.
    with contextlib.redirect_stdout(sys.stderr), shown or contextlib.nullcontext():
        try:
            with dspy.context(lm=model_or_offline(model)):
                return RLM.resume(folder)
        except dspy.LMError as error:
            raise FatalError(str(error)) from error
