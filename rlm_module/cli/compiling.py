"""A compile that was asked for at a prompt: the optimizer, what it found on disk, and what that reaches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_module.cli.examples import Split
from rlm_module.cli.exits import sentence
from rlm_module.cli.models import named_model
from rlm_module.cli.recorded import note

if TYPE_CHECKING:
    import dspy

    from rlm_module.optimizers import Measured, Provenance

LEARN = ("strategy", "extract")
"""What gepa changes of RLMs unless told otherwise."""


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
    price: tuple[str, ...]
    patience: int | None
    learn: tuple[str, ...]
    threads: int
    run_dir: Path | None
    report: Path | None
    seed: int


def compile_program(program: dspy.Module, metric: Callable[..., Any], parts: Split, options: Options) -> None:
    """Compiles, measures, and saves what was found, also where it was stopped on the way."""
    from rlm_module.optimizers import save_compiled

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
    if validation is None:
        validation = _measured(compiled, parts.validation, metric, options, "Validation")
        provenance = provenance.model_copy(update={"validation": validation})
        save_compiled(compiled, options.save, provenance)
    if parts.held_out:
        measured = _measured(compiled, parts.held_out, metric, options, "Held-out")
        save_compiled(compiled, options.save, provenance.model_copy(update={"held_out": measured}))


def _measured(
    compiled: dspy.Module, examples: Sequence[dspy.Example], metric: Callable[..., Any], options: Options, name: str
) -> Measured:
    from rlm_module.optimizers import measure

    note(f"{name} examples are run once each: {len(examples)} program runs beyond the limits of compiling.")
    measured = measure(compiled, examples, metric, num_threads=options.threads)
    note(f"{name} score: {measured.score:.3g} over {measured.examples} examples.")
    return measured


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
    from rlm_module import Budget, spending
    from rlm_module.optimizers import RLMGEPA, RLMBootstrap

    if options.optimizer == "bootstrap":
        bootstrap = RLMBootstrap(metric, max_runs=options.max_runs, num_threads=options.threads)
        with spending(Budget(cost_usd=options.max_cost)):
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
        learn=options.learn or LEARN,
    )
    return gepa.compile(program, trainset=parts.train, valset=parts.validation)


def _provenance(compiled: dspy.Module, parts: Split, options: Options) -> Provenance:
    from rlm_module.optimizers import Measured, Provenance, data_hash, versions

    is_gepa, program = options.optimizer == "gepa", vars(compiled)  # which may have records of earlier compiles, too
    record = program["compilation" if is_gepa else "gathering"]
    best = record.candidates[record.best] if is_gepa else None
    return Provenance(
        optimizer=options.optimizer,
        versions=versions(),
        models=_models(compiled, options),
        data_hash=data_hash([*parts.train, *parts.validation, *parts.held_out]),
        runs=record.runs,
        cost_usd=record.cost_usd,
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
