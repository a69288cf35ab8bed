"""`rlm eval`: how well memories answer, on LongMemEval or on a generated test set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rlm_module.cli.evaluating import Evaluation, Options
from rlm_module.cli.exits import reported_failures
from rlm_module.cli.recorded import note
from rlm_module.errors import InputError

if TYPE_CHECKING:
    from rlm_module.memory.evaluation import Case, Key

ARM_NAMES = ("full_history", "bm25", "rlm", "tools", "delegation", "observations", "oracle")
_EXITS = """\b
Exit status:
  0    every question was answered and judged, rightly or not
  1    some questions failed; the same command tries them again
  2    the options or the data cannot be used
  3    the sandbox or its runtime is not available: see `rlm doctor`
  130  stopped with Ctrl-C; the same command goes on
"""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _shared(command: _Command) -> _Command:
    """The options that both commands have."""
    options = (
        click.option(
            "--arm", "arms", multiple=True, type=click.Choice(ARM_NAMES), help="An arm to measure; repeatable."
        ),
        click.option("-m", "--model", envvar="RLM_MODEL", show_envvar=True, help="The leading model of every arm."),
        click.option(
            "--sub-model", envvar="RLM_SUB_MODEL", show_envvar=True, help="The model that reads, else --model's."
        ),
        click.option("--judge", help="The model that judges answers; without it they are scored by exact match."),
        click.option(
            "--results",
            type=click.Path(file_okay=False, path_type=Path),
            default="eval",
            show_default=True,
            help="The folder for answers, verdicts and hypotheses; what is there is not asked again.",
        ),
        click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Questions at once."),
        click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(name="eval")
def evaluate() -> None:
    """Measure memories over chat histories, on LongMemEval or on a generated test set."""


@evaluate.command(epilog=_EXITS)
@click.option(
    "--data",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A published file, such as longmemeval_s.json.",
)
@click.option("-n", "count", type=click.IntRange(1), help="Ask only so many questions, spread over the whole file.")
@_shared
def longmemeval(data: Path, count: int | None, **options: Any) -> None:
    """Run LongMemEval's questions through one or more arms.

    Figures go to standard output, progress to standard error. Each arm leaves three files in the results folder:
    answers with everything that the arm returned, verdicts, and hypotheses as the benchmark's own evaluator reads them.
    """
    with reported_failures():
        from rlm_module.memory.evaluation import read_cases

        keys = {case.id: case.key for case in read_cases(data)}  # a broken file is told before anything is spent
        chosen = _spread(keys, count)
        with data.open("rb") as file:
            mark = f"sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"
        about = f"{data.name}, {data.stat().st_size:,} bytes"

        def cases() -> Iterator[Case]:
            return (case for case in read_cases(data) if case.id in chosen)

        Evaluation(Options(**options), about, mark, chosen, cases).run()


@evaluate.command(epilog=_EXITS)
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses one of many sets.")
@click.option("--questions", type=click.IntRange(1), default=100, show_default=True, help="How many questions.")
@click.option("--sessions", type=int, default=50, show_default=True, help="Sessions of each history.")
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the set to this file in LongMemEval's form, and ask nothing unless an arm is named.",
)
@_shared
def generated(seed: int, questions: int, sessions: int, write: Path | None, **options: Any) -> None:
    """Run a made-up test set, whose answers are exact, through one or more arms.

    Each question has a history of its own; the same seed gives the same set. All of LongMemEval's types are in it, and
    questions that the history does not answer.
    """
    with reported_failures():
        from rlm_module.memory.evaluation import GENERATOR_VERSION, case_of, generate, write_generated

        def cases() -> Iterator[Case]:
            return (case_of(made.record) for made in generate(seed=seed, questions=questions, sessions=sessions))

        generate(seed=seed, questions=questions, sessions=sessions)  # numbers out of range are told before all else
        if write:
            try:
                written = write_generated(write, generate(seed=seed, questions=questions, sessions=sessions))
            except OSError as error:
                raise InputError(f"{write} cannot be written ({error.strerror}); name another file.") from error
            note(f"{write} holds {written:,} questions.")
            if not options["arms"]:
                return
        about = f"generated, seed {seed}, {sessions} sessions"
        mark = f"{about}, generator {GENERATOR_VERSION}"
        Evaluation(Options(**options), about, mark, {case.id: case.key for case in cases()}, cases).run()


def _spread(keys: dict[str, Key], count: int | None) -> dict[str, Key]:
    """So many of the questions, at even distances, since published files are sorted by type."""
    if count is None or count >= len(keys):
        return keys
    names = list(keys)
    return {names[at * len(names) // count]: keys[names[at * len(names) // count]] for at in range(count)}
