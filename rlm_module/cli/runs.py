"""`rlm runs`: the runs of a journal, the newest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from rlm_module.cli.asked import asked, fitted
from rlm_module.cli.exits import reported_failures, sentence
from rlm_module.cli.recorded import journal_option, note, one_line, say
from rlm_module.errors import InputError
from rlm_module.journal import RunTree, build_tree, read_run, run_folders

_SHORTEST_ID, _TASK_WIDTH = 8, 30
_HEADS = ("run", "when", "task", "ended", "turns", "calls", "tokens", "cost", "score")
_NUMBERS = ("turns", "calls", "tokens", "cost", "score")


@dataclass(frozen=True, slots=True)
class _Recorded:
    folder: Path
    tree: RunTree


@click.command()
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print the runs as one JSON list.")
def runs(journal: Path, as_json: bool) -> None:
    """List recorded runs, the newest first.

    Below each stands what it was asked. Turns are those of the root; calls, tokens and cost those of the whole tree. A
    run that cannot be read is told of on standard error and left out. Exit status: 0, or 2 if the folder cannot be
    listed.
    """
    with reported_failures():
        found = _read(run_folders(journal))
        found.sort(key=lambda run: run.tree.root.started.at, reverse=True)
        if as_json:
            say(json.dumps([_facts(run) for run in found], indent=2))
            return
        if not found:
            note(f"No runs are recorded in {journal}; --journal names another folder.")
            return
        head, *lines = _table([_HEADS, *_rows(found)])
        say(head)
        margin = " " * (_id_width([run.folder.name for run in found]) + 2)
        for run, line in zip(found, lines, strict=True):
            say(line)
            if parts := asked(run.folder, run.tree.root.started):
                say(fitted(parts, margin))


def _read(folders: Sequence[Path]) -> list[_Recorded]:
    found: list[_Recorded] = []
    for folder in folders:
        try:
            found.append(_Recorded(folder, build_tree(read_run(folder))))
        except InputError as error:
            note(f"{folder.name} is left out: {sentence(error)}")
    return found


def _facts(run: _Recorded) -> dict[str, Any]:
    root = run.tree.root
    return {
        "run_id": run.folder.name,
        "folder": str(run.folder),
        "started_at": root.started.at,
        "task": root.started.task,
        "asked": asked(run.folder, root.started),
        "termination_reason": root.reason,
        "seconds": root.seconds,
        "turns": len(root.turns),
        "calls": run.tree.calls,
        "tokens": root.total.tokens,
        "cost_usd": root.total.cost_usd,
        "score": run.tree.score,
    }


def _rows(found: Sequence[_Recorded]) -> list[tuple[str, ...]]:
    width = _id_width([run.folder.name for run in found])
    return [_row(run, width) for run in found]


def _row(run: _Recorded, width: int) -> tuple[str, ...]:
    root, cost = run.tree.root, run.tree.root.total.cost_usd
    return (
        one_line(run.folder.name[:width]),
        moment(root.started.at),
        one_line(root.started.task[:_TASK_WIDTH]),
        one_line(root.reason or "unfinished"),
        f"{len(root.turns):,}",
        f"{run.tree.calls:,}",
        f"{root.total.tokens:,}",
        "unknown" if cost is None else f"${cost:.4f}",
        "" if run.tree.score is None else f"{run.tree.score:g}",
    )


def moment(at: float) -> str:
    """A time in Unix seconds as the reader's clock showed it."""
    try:
        return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # a record may say anything
        return "unknown"


def _id_width(names: Sequence[str]) -> int:
    """As much of the ids as tells them apart."""
    longest = max(map(len, names))
    widths = range(_SHORTEST_ID, max(longest, _SHORTEST_ID))
    return next((width for width in widths if len({name[:width] for name in names}) == len(names)), longest)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if head in _NUMBERS else cell.ljust(width)
            for head, cell, width in zip(_HEADS, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
