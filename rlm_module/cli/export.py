"""`rlm export`: recorded runs as chat JSON lines for fine-tuning."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import click

from rlm_module.cli.exits import reported_failures
from rlm_module.cli.recorded import journal_option, note, say
from rlm_module.errors import InputError
from rlm_module.journal import conversations, find_run, read_run


@click.command()
@click.argument("named", nargs=-1, required=True, metavar="RUN…")
@journal_option
@click.option("--format", "form", type=click.Choice(["sft"]), default="sft", show_default=True, help="Form of a line.")
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of stdout.")
@click.option("--min-score", type=float, help="Leave out runs whose last score is lower, and those without one.")
def export(named: tuple[str, ...], journal: Path, form: str, out: Path | None, min_score: float | None) -> None:
    """Write what was said in recorded runs as chat JSON lines.

    RUN is the beginning of a run's id, as `rlm runs` lists them, or the folder of a run. A line holds `messages`, the
    last of which is the model's reply, and run_id, node, depth, role, model and score. The turns of an RLM are one
    line, as long as each goes on from the one before; sub-calls are a line each, those that failed are left out.
    Exit status: 0, or 2 if a run cannot be read or the file cannot be written.
    """
    with reported_failures():
        folders = list(dict.fromkeys(find_run(text, [journal]) for text in named))
        count = 0
        with _writer(out) as write:
            for line in _lines(folders, min_score):
                write(line)
                count += 1
        note(f"Conversations written: {count:,}; runs read: {len(folders):,}.")


def _lines(folders: list[Path], min_score: float | None) -> Iterator[str]:
    seen: set[str] = set()
    for folder in folders:
        for conversation in conversations(read_run(folder), min_score=min_score, seen=seen):
            yield conversation.as_line()


@contextlib.contextmanager
def _writer(out: Path | None) -> Generator[Callable[[str], None]]:
    """Writes lines to a file, which is there whole or not at all, or to stdout."""
    if out is None:
        yield say
        return
    try:
        if out.exists() and not out.is_file():  # a pipe or a device
            with out.open("w", encoding="ascii") as file:
                yield lambda line: print(line, file=file)
            return
        target = out.resolve()
        with tempfile.NamedTemporaryFile("w", encoding="ascii", dir=target.parent, delete=False) as file:
            try:
                yield lambda line: print(line, file=file)
                file.flush()
                os.replace(file.name, target)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); name another file with -o.") from error
