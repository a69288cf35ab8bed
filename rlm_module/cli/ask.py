"""`rlm ask`: a question about files, folders or standard input."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rlm_module.cli.answers import as_json, plain, print_answer
from rlm_module.cli.display import TurnDisplay, printable
from rlm_module.cli.documents import read_documents
from rlm_module.cli.exits import EXITS, reported_failures
from rlm_module.cli.models import model_or_offline, named_model
from rlm_module.cli.task import bind, default_signature, load_signature
from rlm_module.errors import FatalError, InputError

if TYPE_CHECKING:  # dspy takes a second to import, which `rlm --help` should not
    import dspy

    from rlm_module import RLM, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a question is to be answered; each field is the command's option of that name."""

    question: str | None
    model: str | None
    sub_model: str | None
    signature: str | None
    max_iters: int
    max_llm_calls: int
    memory_mb: int
    journal: Path | None
    as_json: bool
    verbose: bool


@click.command(epilog=EXITS)
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("-q", "--question", help="What to ask; needed unless the signature has one input only.")
@click.option("-m", "--model", envvar="RLM_MODEL", show_envvar=True, help="The leading model, such as openai/gpt-5.")
@click.option("--sub-model", envvar="RLM_SUB_MODEL", show_envvar=True, help="The model of sub-calls, else --model's.")
@click.option("-s", "--signature", help="A dspy signature or file.py:Class, else 'context, query -> answer'.")
@click.option("--max-iters", type=click.IntRange(1), default=20, show_default=True, help="Turns of the leading model.")
@click.option("--max-llm-calls", type=click.IntRange(0), default=50, show_default=True, help="Sub-calls in all.")
@click.option("--memory-mb", type=click.IntRange(256, 4096), default=2048, show_default=True, help="Sandbox memory.")
@click.option(
    "--journal",
    envvar="RLM_MODULE_JOURNAL",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Record the run in this folder, to be shown, resumed and replayed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outputs and how the run went as one JSON object.")
@click.option("-v", "--verbose", is_flag=True, help="Show each turn's code and output, on a terminal or not.")
def ask(paths: tuple[str, ...], **options: Any) -> None:
    """Answer a question about files, folders or standard input.

    PATH is a file, a folder, or - for standard input. Of a folder, everything is read but binary files and what
    .gitignore names. One document reaches the model as a text, several as texts by relative path, unless the signature
    says otherwise.

    The answer goes to standard output, all else to standard error. Where no model is named an offline one answers: it
    needs no key, and finds and counts rather than understands.
    """
    chosen = Options(**options)
    with reported_failures():
        stdin = sys.stdin.buffer if sys.stdin else io.BytesIO()
        documents = read_documents(paths, stdin=stdin, note=_note, memory_mb=chosen.memory_mb)
        signature = load_signature(chosen.signature or default_signature(len(documents)))
        prediction = _run(chosen, signature, bind(signature, documents, chosen.question))
    outputs = {name: prediction[name] for name in signature.output_fields}
    if "run" in outputs:
        del prediction["run"]  # it hides how the run went
    reason = prediction.run.termination_reason
    if reason != "submitted":
        _note(f"Nothing was submitted ({reason}){'; a higher --max-iters may help' if reason == 'max_iters' else ''}.")
    print_answer(_report(outputs, prediction.run) if chosen.as_json else plain(outputs))


def _run(options: Options, signature: type[dspy.Signature], inputs: Mapping[str, Any]) -> dspy.Prediction:
    import dspy

    from rlm_module import capture_runs

    is_shown = options.verbose or sys.stderr.isatty()
    shown = capture_runs(on_event=TurnDisplay(sys.stderr, full=options.verbose)) if is_shown else None
    if not options.model:
        _note("No model is named (-m or RLM_MODEL): the offline one answers, which finds and counts, no more.")
    # Libraries under a model may print; standard output belongs to the answer.
    with contextlib.redirect_stdout(sys.stderr), shown or contextlib.nullcontext():
        try:
            with dspy.context(lm=model_or_offline(options.model)):
                return _program(options, signature)(**inputs)
        except dspy.LMError as error:
            raise FatalError(str(error)) from error


def _program(options: Options, signature: type[dspy.Signature]) -> RLM:
    from rlm_module import RLM, Sandbox

    try:
        return RLM(
            signature,
            max_iters=options.max_iters,
            max_llm_calls=options.max_llm_calls,
            sub_lm=named_model(options.sub_model) if options.sub_model else None,
            interpreter_factory=lambda: Sandbox(memory_mb=options.memory_mb),
            journal=options.journal,
        )
    except ValueError as error:  # names in the signature that clash with the sandbox's
        raise InputError(str(error)) from error


def _report(outputs: Mapping[str, Any], run: Run) -> str:
    return as_json(
        {
            "outputs": outputs,
            "run_id": run.run_id,
            "termination_reason": run.termination_reason,
            "turns": len(run.trajectory),
            "seconds": run.seconds,
            "cost_usd": run.cost_usd,
            "usage": run.usage,
        }
    )


def _note(text: str) -> None:
    click.echo(printable(text), err=True)
