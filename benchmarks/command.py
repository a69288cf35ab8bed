"""The command line of a benchmark: what to measure, a table on standard output, and an exit status that judges."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from benchmarks.measure import Finding, Measure, Say, take
from benchmarks.table import as_json, table, verdict

Prepare: TypeAlias = "Callable[[Path, Say], tuple[Sequence[Measure], str]]"
"""Makes the measures, given a folder that lasts as long as they do, and says how the other side was set up."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark's command.

    Args:
        name: That of its file.
        about: What it measures, in one line.
        names: What `--only` may choose from.
        repeats: Samples of each side, unless told otherwise.
        notes: What is printed below the table.
        beside: What the package is compared with.
    """

    name: str
    about: str
    names: tuple[str, ...]
    repeats: int
    notes: str
    beside: str = "dspy"

    def run(self, arguments: Sequence[str] | None, prepare: Prepare) -> int:
        """Measures, prints, and returns the exit status: 1 where a figure was missed.

        Args:
            arguments: The command line; None for that of the process.
            prepare: Makes the measures.
        """
        options = self._parse(arguments)
        with tempfile.TemporaryDirectory(prefix="rlm-benchmark-") as scratch:
            made, note = prepare(Path(scratch).resolve(), self.say)
            chosen = [
                measure for measure in made if not options.only or any(row.name in options.only for row in measure.rows)
            ]
            findings = [
                finding for measure in chosen for finding in take(measure, options.repeats, self.say, self.beside)
            ]
        if options.only:
            findings = [finding for finding in findings if finding.row.name in options.only]
        self._report(findings, options, note)
        return 0 if all(finding.reached for finding in findings) else 1

    def say(self, line: str) -> None:
        """Tells of progress."""
        print(f"{self.name}: {line}", file=sys.stderr, flush=True)

    def _parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        parser = argparse.ArgumentParser(prog=f"python benchmarks/{self.name}.py", description=self.about)
        samples = f"samples of each side (default: {self.repeats})"
        parser.add_argument("--repeats", type=int, default=self.repeats, metavar="N", help=samples)
        some = f"some of: {', '.join(self.names)}"
        parser.add_argument("--only", nargs="+", choices=self.names, metavar="NAME", help=some)
        parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to a file, too")
        options = parser.parse_args(arguments)
        if options.repeats < 1:
            parser.error("--repeats must be at least 1")
        return options

    def _report(self, findings: Sequence[Finding], options: argparse.Namespace, note: str) -> None:
        machine = (
            f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        )
        packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("dspy", "deno"))
        load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
        print(f"{machine}, {packages}; {options.repeats} repeats; load at the end {load}\n")
        print(f"{table(findings, self.beside)}\n\n{self.notes}\n- {note}\n")
        print(verdict(findings), flush=True)
        if options.json is not None:
            told = {"machine": machine, "packages": packages, "repeats": options.repeats, self.beside: note}
            options.json.write_text(json.dumps({**told, "findings": as_json(findings)}, indent=2) + "\n")
