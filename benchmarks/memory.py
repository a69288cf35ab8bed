"""`python benchmarks/memory.py`: the memory store, by what it takes in, finds, and needs; and who answers from it.

The table goes to standard output and progress to standard error. The last line names what was not reached, and the
exit status is then 1.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, Python looks beside the script only

from benchmarks.figures import Figure, table, verdict
from benchmarks.measure import Say
from benchmarks.rows.store import Scale

Measured: TypeAlias = "Callable[[Path, Scale, Say], Iterator[Figure]]"
PARTS = ("store", "arms")

_NOTES = """\
- Turns of 400 characters, ten a session, of 50,000 words that are as common as Zipf's law says, of which the 60
  commonest are English. Validated from JSON-like data, in transactions of 1,000 turns; the rate is that of the first
  tenth of the store.
- search: questions of 8 words, 10 results: four words that nearly every text has, three of a planted turn, one of
  another. Recall is that of the planted turns, beside FTS5's bm25 over all words and all of the user's turns.
- size: the file once it is closed, beside its texts in UTF-8. memory: peaks of two processes that do the same.
- arms: each question has a history of its own. Accuracy is exact match; abstaining is right where the history does not
  answer. Evidence is compared turn by turn. random: 8 sessions drawn by lot. full_history: the latest 30,000 tokens.
  bm25: the best 8 turns of one search for the question. oracle: the sessions that hold the answer. rlm, tools,
  delegation, observations: a root that searches by other words for those of the question."""


def main(arguments: Sequence[str] | None = None, measured: Measured | None = None) -> int:
    """Measures, prints, and returns the exit status.

    Args:
        arguments: The command line; default: that of the process.
        measured: Measures; default: what this benchmark is about.
    """
    options = _parse(arguments)
    with tempfile.TemporaryDirectory(prefix="rlm-benchmark-", dir=options.folder) as scratch:
        scale = Scale(turns=options.turns, seconds=options.seconds)
        measured = measured or partial(_measured, options)
        found = list(measured(Path(scratch).resolve(), scale, _say))
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, SQLite {sqlite3.sqlite_version}; {options.turns:,} turns a store; load at the end {load}\n")
    print(f"{table(found)}\n\n{_NOTES}\n")
    print(verdict(found), flush=True)
    if options.json is not None:
        told = {figure.aim.name: {"value": figure.value, "reached": figure.reached} for figure in found}
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0 if all(figure.reached for figure in found) else 1


def _measured(options: argparse.Namespace, scratch: Path, scale: Scale, say: Say) -> Iterator[Figure]:
    from benchmarks.rows import arms, store

    if "arms" in options.only:
        yield from arms.figures(arms.Asked(questions=options.questions), say, partial(print, flush=True))
    if "store" in options.only:
        yield from store.figures(scratch, scale, say)


def _say(line: str) -> None:
    print(f"memory: {line}", file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python benchmarks/memory.py", description=(__doc__ or "").splitlines()[0])
    default = Scale()
    turns = f"turns a store (default: {default.turns:,}, for which the limits are meant)"
    parser.add_argument("--turns", type=int, default=default.turns, metavar="N", help=turns)
    questions = "questions that each arm is asked (default: 100, for which the limits are meant)"
    parser.add_argument("--questions", type=int, default=100, metavar="N", help=questions)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=" or ".join(PARTS))
    seconds = f"how long readers and a writer are at it (default: {default.seconds:g})"
    parser.add_argument("--seconds", type=float, default=default.seconds, metavar="S", help=seconds)
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where to make the stores, about 3 GB")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    options = parser.parse_args(arguments)
    if options.turns < 100_000:
        parser.error("--turns must be at least 100,000")
    if options.questions < 1:
        parser.error("--questions must be at least 1")
    return options


def _hush() -> None:
    """Of this process, since thousands of simulated answers give warnings that nobody has to see."""
    warnings.simplefilter("ignore")
    for name in ("dspy", "rlm_module"):
        logging.getLogger(name).setLevel(logging.ERROR)


if __name__ == "__main__":
    _hush()
    raise SystemExit(main())
