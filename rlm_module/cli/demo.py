"""`rlm demo`: two questions about a million tokens of made-up records, answered while you watch."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rlm_module.cli.demo_document import Quiz, write
from rlm_module.cli.display import TurnDisplay
from rlm_module.cli.exits import EXITS, NO_ANSWER, reported_failures
from rlm_module.cli.models import model_or_offline
from rlm_module.errors import FatalError, InputError
from rlm_module.events import Acted, AnyEvent, LMCalled, RunFinished, Usage

if TYPE_CHECKING:  # dspy takes a second to import, which `rlm --help` should not
    import dspy

_CHARS = 4_400_000
_CHARS_PER_TOKEN = 4


@dataclass(slots=True)
class Tally:
    """What a run came to, added up from its events."""

    turns: int = 0
    sub_calls: int = 0
    usage: Usage = field(default_factory=Usage)

    def __call__(self, event: AnyEvent) -> None:
        match event:
            case Acted():
                self.turns += 1
            case LMCalled() if event.role == "sub":
                self.sub_calls += 1
            case RunFinished():
                self.usage = event.usage
            case _:
                pass


@click.command(epilog=EXITS)
@click.option("-m", "--model", envvar="RLM_MODEL", show_envvar=True, help="A model instead of the offline one.")
@click.option("--seed", type=int, default=2025, show_default=True, help="Decides the document and the questions.")
@click.option("--chars", type=click.IntRange(10_000), default=_CHARS, show_default=True, help="Document length.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Keep the document in this file.")
@click.option("--brief", is_flag=True, help="One line a turn instead of its code and output.")
def demo(model: str | None, seed: int, chars: int, out: Path | None, brief: bool) -> None:
    """Answer two questions about a made-up document of a million tokens.

    The document holds dated, user-tagged records and its truth is known: one question counts labelled records, the
    other looks for a single sentence. Ends with exit status 1 if an answer is wrong.
    """
    with reported_failures():
        document = write(seed, chars)
        with tempfile.TemporaryDirectory(prefix="rlm-demo-") as folder:
            path = out or Path(folder) / "records.txt"
            _save(path, document.text)
            click.echo(
                f"Document: {path}, {len(document.text):,} characters, "
                f"about {chars_to_tokens(document.text):,} tokens, "
                f"{document.text.count(chr(10)):,} records (seed {seed})"
            )
            click.echo(
                f"Model: {model or 'OfflineLM, which finds and counts by rule and is no language model (-m names one)'}"
            )
            right = [_ask(quiz, path.read_text("utf-8"), model, brief=brief) for quiz in document.quizzes]
    if not all(right):
        click.echo(f"{right.count(False)} of {len(right)} answers are wrong.", err=True)
        raise click.exceptions.Exit(NO_ANSWER)
    click.echo(f"Both answers are right. The same in Python, with records of yours:\n\n{_SAME}")


def chars_to_tokens(text: str) -> int:
    """About as many tokens as most tokenizers make of English text."""
    return len(text) // _CHARS_PER_TOKEN


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); name another file with --out") from error


def _ask(quiz: Quiz, records: str, model: str | None, *, brief: bool) -> bool:
    """Asks one question, shows how it goes, and tells whether the answer is right."""
    click.echo(f"\nQuestion: {quiz.question}")
    tally = Tally()
    started = time.perf_counter()
    prediction = _run(quiz, records, model, tally, brief=brief)
    seconds = time.perf_counter() - started
    answer = prediction[quiz.signature.rpartition("-> ")[2].partition(":")[0]]
    is_right = quiz.is_right(answer)
    click.echo(
        f"Answer: {answer}\nTruth:  {quiz.truth}  ({'right' if is_right else 'WRONG'})\n"
        f"{seconds:.1f} s, {tally.turns} turns, {tally.sub_calls} sub-calls, {tally.usage.tokens:,} tokens "
        f"for {chars_to_tokens(records):,} tokens of input"
    )
    return is_right


def _run(quiz: Quiz, records: str, model: str | None, tally: Tally, *, brief: bool) -> dspy.Prediction:
    import dspy

    from rlm_module import RLM, capture_runs

    display = TurnDisplay(sys.stdout, full=not brief)

    def show(event: AnyEvent) -> None:
        tally(event)
        display(event)

    with capture_runs(on_event=show), dspy.context(lm=model_or_offline(model)):
        try:
            return RLM(quiz.signature)(records=records, question=quiz.question)
        except dspy.LMError as error:
            raise FatalError(str(error)) from error


_SAME = """\
    import dspy
    from rlm_module import RLM, OfflineLM

    dspy.configure(lm=OfflineLM())
    rlm = RLM("records: str, question: str -> answer: str")
    print(rlm(records=open("records.txt").read(), question="...").answer)
"""
