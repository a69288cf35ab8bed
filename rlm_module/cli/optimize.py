"""`rlm optimize`: a program compiled on examples, measured on others, and saved with how it came about."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from rlm_module.cli.compiling import LEARN, Options, compile_program
from rlm_module.cli.examples import read_examples, split
from rlm_module.cli.exits import reported_failures
from rlm_module.cli.models import named_model, prices_of
from rlm_module.cli.program import EXACT, load_metric, load_program
from rlm_module.cli.recorded import note
from rlm_module.errors import InputError, UnknownPriceError

_METRIC = (
    f"FILE.py:NAME, a name in the program's file, or '{EXACT}': the share of the labels that equal the output of their "
    "name; other columns do not count."
)


@click.command()
@click.argument("program", metavar="FILE.py:NAME")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--metric", required=True, help=_METRIC)
@click.option("--optimizer", type=click.Choice(["gepa", "bootstrap"]), default="gepa", show_default=True)
@click.option("--save", required=True, type=click.Path(path_type=Path), help="Where the compiled program goes (.json).")
@click.option("--validation", type=click.Path(path_type=Path), help="Examples to choose by, else a quarter of DATA.")
@click.option("--held-out", type=click.Path(path_type=Path), help="Examples to measure on, else a quarter of DATA.")
@click.option("--inputs", default="", help="Names of the inputs, with commas, where the program does not tell them.")
@click.option("-m", "--model", envvar="RLM_MODEL", show_envvar=True, help="The LM, else what FILE.py configures.")
@click.option("--reflection-model", help="The LM that writes instructions, else the same.")
@click.option("--max-runs", type=click.IntRange(1), help="Program runs while compiling; measuring comes on top.")
@click.option(
    "--max-cost", type=click.FloatRange(0, min_open=True), help="US dollars while compiling; measuring comes on top."
)
@click.option(
    "--price",
    multiple=True,
    metavar="MODEL=IN/OUT",
    help="What a model charges, in US dollars per million prompt and completion tokens; may be given more than once.",
)
@click.option("--patience", type=click.IntRange(1), help="Stop after so many rounds without a better program.")
@click.option(
    "--learn",
    multiple=True,
    type=click.Choice(["strategy", "extract", "tools", "sub_calls"]),
    help=f"What gepa may change of RLMs, else {' and '.join(LEARN)}; may be given more than once.",
)
@click.option("--threads", type=click.IntRange(1), default=4, show_default=True, help="Program runs at once.")
@click.option("--run-dir", type=click.Path(path_type=Path), help="Keeps what was paid for, to go on after a stop.")
@click.option("--report", type=click.Path(path_type=Path), help="Where gepa's report goes, a page for a browser.")
@click.option("--seed", type=int, default=0, show_default=True)
def optimize(program: str, data: Path, **options: Any) -> None:
    """Compile a program on examples.

    FILE.py:NAME is a dspy program, or a function without parameters that makes one. DATA holds one JSON object a
    line: the program's inputs, and the labels that the metric looks at.

    Without files of their own, half of DATA trains, a quarter chooses the best program, and a quarter is held out to
    measure it. Measuring runs each held-out example once after compiling (with bootstrap each validation example, too),
    whatever the limits; how many runs that takes is told before, and what they cost is saved with the score.

    Exit status: 0; 1 if compiling fails; 2 if the options or files cannot be used; 130 after Ctrl-C, with what was
    found so far saved.
    """
    chosen = Options(**options)
    with reported_failures(), contextlib.redirect_stdout(sys.stderr):
        _optimize(program, data, chosen)


def _optimize(source: str, data: Path, options: Options) -> None:
    import dspy

    from rlm_module import Budget, spending

    _check_applicable(options)
    _check_targets(options)
    prices = prices_of(options.price)
    program = load_program(source)
    metric = load_metric(options.metric, source, program)
    names = tuple(name.strip() for name in options.inputs.split(",") if name.strip())
    first, chosen_by, kept = (
        None if path is None else read_examples(path, program, names)
        for path in (data, options.validation, options.held_out)
    )
    parts = split(first or [], chosen_by, kept, options.seed)
    note(f"{len(parts.train)} examples train, {len(parts.validation)} validate, {len(parts.held_out)} are held out.")
    with contextlib.ExitStack() as stack:
        if options.model:
            stack.enter_context(dspy.context(lm=named_model(options.model)))
        elif dspy.settings.lm is None:
            raise InputError(f"No model is named: give -m, or call dspy.configure in {source.rpartition(':')[0]}.")
        stack.enter_context(spending(Budget(prices=prices)))
        try:
            compile_program(program, metric, parts, options)
        except UnknownPriceError as error:
            raise InputError(
                f"The price of {error.model!r} is not known, so --max-cost could not be held; give it with "
                f"--price {error.model}=IN/OUT, in US dollars per million prompt and completion tokens"
            ) from error


def _check_applicable(options: Options) -> None:
    """Refuses options that the optimizer would not heed."""
    found = {name: getattr(options, name) for name in ("reflection_model", "patience", "learn", "run_dir", "report")}
    given = [f"--{name.replace('_', '-')}" for name, value in found.items() if value]
    if options.optimizer == "bootstrap" and given:
        raise InputError(f"{', '.join(given)} cannot be used with --optimizer bootstrap; leave it out")


def _check_targets(options: Options) -> None:
    """Refuses places that cannot be written, before anything is paid for."""
    if options.save.suffix != ".json":
        raise InputError(f"--save {options.save} must end in .json")
    for name, target in (("--save", options.save), ("--report", options.report)):
        if target is None:
            continue
        if target.is_dir():
            raise InputError(f"{name} {target} is a folder; name a file")
        if not target.parent.is_dir() or not os.access(target.parent, os.W_OK | os.X_OK):
            raise InputError(f"{name} {target}: no file can be written in {target.parent}; make that folder first")
        if target.exists() and not os.access(target, os.W_OK):
            raise InputError(f"{name} {target} cannot be written; name another file")
