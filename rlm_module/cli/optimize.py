"""`rlm optimize`: a program compiled on examples, measured on others, and saved with how it came about."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rlm_module.cli.examples import Split, read_examples, split
from rlm_module.cli.exits import reported_failures, sentence
from rlm_module.cli.models import named_model
from rlm_module.cli.program import EXACT, load_metric, load_program
from rlm_module.cli.recorded import note
from rlm_module.errors import InputError

if TYPE_CHECKING:
    import dspy

    from rlm_module.optimizers import Measured, Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a program is to be compiled; each field is the command's option of that name."""

    metric: str
    optimizer: str
    save: Path
    validation: Path | None
    held_out: Path | None
    inputs: str
    model: str | None
    reflection_model: str | None
    max_runs: int | None
    max_cost: float | None
    patience: int | None
    learn: tuple[str, ...]
    threads: int
    run_dir: Path | None
    report: Path | None
    seed: int


@click.command()
@click.argument("program", metavar="FILE.py:NAME")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--metric", required=True, help=f"FILE.py:NAME, a name in the program's file, or '{EXACT}'.")
@click.option("--optimizer", type=click.Choice(["gepa", "bootstrap"]), default="gepa", show_default=True)
@click.option("--save", required=True, type=click.Path(path_type=Path), help="Where the compiled program goes (.json).")
@click.option("--validation", type=click.Path(path_type=Path), help="Examples to choose by, else a quarter of DATA.")
@click.option("--held-out", type=click.Path(path_type=Path), help="Examples to measure on, else a quarter of DATA.")
@click.option("--inputs", default="", help="Names of the inputs, with commas, where the program does not tell them.")
@click.option("-m", "--model", envvar="RLM_MODEL", show_envvar=True, help="The LM, else what FILE.py configures.")
@click.option("--reflection-model", help="The LM that writes instructions, else the same.")
@click.option("--max-runs", type=click.IntRange(1), help="Program runs in all.")
@click.option("--max-cost", type=click.FloatRange(0, min_open=True), help="US dollars in all.")
@click.option("--patience", type=click.IntRange(1), help="Stop after so many rounds without a better program.")
@click.option(
    "--learn",
    multiple=True,
    type=click.Choice(["strategy", "extract", "tools", "sub_calls"]),
    default=["strategy", "extract"],
    show_default=True,
    help="What gepa may change of RLMs; may be given more than once.",
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
    measure it. Exit status: 0; 1 if compiling fails; 2 if the options or files cannot be used; 130 after Ctrl-C, with
    what was found so far saved.
    """
    chosen = Options(**options)
    with reported_failures(), contextlib.redirect_stdout(sys.stderr):
        _optimize(program, data, chosen)


def _optimize(source: str, data: Path, options: Options) -> None:
    import dspy

    _check_targets(options)
    program = load_program(source)
    metric = load_metric(options.metric, source)
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
        _compile(program, metric, parts, options)


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


def _compile(program: dspy.Module, metric: Callable[..., Any], parts: Split, options: Options) -> None:
    """Compiles, measures, and saves what was found, also where it was stopped on the way."""
    from rlm_module.optimizers import measure, save_compiled

    stopped: KeyboardInterrupt | None = None
    try:
        compiled = _compiled(program, metric, parts, options)
    except KeyboardInterrupt as interrupt:
        stopped, compiled = interrupt, getattr(interrupt, "partial", None)
        if compiled is None:
            raise
    provenance = _provenance(compiled, parts, options)
    save_compiled(compiled, options.save, provenance)  # what was paid for is safe before more is spent
    _report(compiled, options)
    validation = provenance.validation
    note(f"Saved in {options.save}{f', validation score {validation.score:.3g}' if validation else ''}.")
    if stopped is not None:
        raise stopped
    if parts.held_out:
        measured: Measured = measure(compiled, parts.held_out, metric, num_threads=options.threads)
        save_compiled(compiled, options.save, provenance.model_copy(update={"held_out": measured}))
        note(f"Held-out score: {measured.score:.3g} over {measured.examples} examples.")


def _report(compiled: dspy.Module, options: Options) -> None:
    """Writes the report. One that fails keeps nothing else from being done."""
    from rlm_module.optimizers import write_report

    compilation = getattr(compiled, "compilation", None)
    if options.report is None or compilation is None:
        return
    try:
        write_report(compilation, options.report, f"{options.save.stem}: compiled with {options.optimizer}")
    except Exception as error:  # what is paid for is saved, and what is left to do does not need the page
        note(f"There is no report: {sentence(error)}")
    else:
        note(f"The report is in {options.report}.")


def _compiled(program: dspy.Module, metric: Callable[..., Any], parts: Split, options: Options) -> dspy.Module:
    from rlm_module.optimizers import RLMGEPA, RLMBootstrap

    if options.optimizer == "bootstrap":
        bootstrap = RLMBootstrap(metric, max_runs=options.max_runs, num_threads=options.threads)
        return bootstrap.compile(program, trainset=parts.train)
    gepa = RLMGEPA(
        metric,
        reflection_lm=named_model(options.reflection_model) if options.reflection_model else None,
        max_runs=options.max_runs,
        max_cost_usd=options.max_cost,
        patience=options.patience,
        num_threads=options.threads,
        run_dir=options.run_dir,
        seed=options.seed,
        learn=options.learn,
    )
    return gepa.compile(program, trainset=parts.train, valset=parts.validation)


def _provenance(compiled: dspy.Module, parts: Split, options: Options) -> Provenance:
    from rlm_module.optimizers import Measured, Provenance, data_hash, versions

    compilation = getattr(compiled, "compilation", None)
    best = compilation.candidates[compilation.best] if compilation is not None else None
    return Provenance(
        optimizer=options.optimizer,
        versions=versions(),
        models=_models(compiled, options),
        data_hash=data_hash([*parts.train, *parts.validation, *parts.held_out]),
        runs=compilation.runs if compilation is not None else len(parts.train),
        cost_usd=compilation.cost_usd if compilation is not None else None,
        validation=None
        if best is None
        else Measured(
            examples=len(best.scores),
            score=best.score,
            cost_usd=None if best.cost_usd is None else best.cost_usd * len(best.scores),
        ),
    )


def _models(program: dspy.Module, options: Options) -> dict[str, str]:
    """Names of the LMs, by predictor where one has an LM of its own."""
    import dspy

    from rlm_module import RLM

    found = {"default": dspy.settings.lm, "reflection": options.reflection_model}
    found |= {name: predictor.lm for name, predictor in program.named_predictors()}
    found |= {f"{name}.sub_lm": rlm.sub_lm for name, rlm in program.named_sub_modules() if isinstance(rlm, RLM)}
    return {name: str(getattr(lm, "model", lm)) for name, lm in found.items() if lm is not None}
