"""`python benchmarks/sandbox.py`: this package's sandbox and RLM beside dspy's, on this machine, in one run.

The table goes to standard output and progress to standard error. The last line names what was not reached, and the
exit status is then 1.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, Python looks beside the script only

from benchmarks.measure import Finding, Measure, Say, take
from benchmarks.table import as_json, table, verdict

REPEATS = 5

NAMES = (
    "start",
    "first-cell",
    "later-cell",
    "host-call",
    "host-calls",
    "llm-calls",
    "run",
    "memory",
    "stall",
    "ctrl-c",
    "sigint",
    "host-memory",
)

_NOTES = """\
Figures are medians unless the measure says otherwise, with least and greatest sample in brackets. Both sides were
measured in turn. MB = 10^6 bytes, MiB = 2^20 bytes.
- first cell, later cell: from passing the text to the cell's output, in an interpreter that had run a cell before. A
  later cell is the slowest of 10 in its session, 5 with the variable passed again and 5 as RLM runs them.
- host call: from one call's arrival at the host to the next one's. Calls at once: dspy runs tools one after another,
  and sub-LM calls eight at a time.
- idle memory: VmRSS one second after the first cell. What would lower it further is told in benchmarks/README.md.
- stall: over the whole run, by a ticker of 10 ms. dspy's cell spins for 1 s by itself, ours until its limit of 1 s.
- Ctrl-C: SIGINT to the process group, as a terminal sends it, of a program in `execute` and of one in a run, whichever
  takes longer to be gone with all that it started. The row below it: to the program alone, as a notebook sends it.
  Given up after 10 s.
- peak host memory: by how much the process outgrew what it was before the text was made; the text itself counts."""


def main(
    arguments: Sequence[str] | None = None, prepare: Callable[[Path, Say], tuple[Sequence[Measure], str]] | None = None
) -> int:
    """Measures, prints, and returns the exit status.

    Args:
        arguments: The command line; default: that of the process.
        prepare: Makes the measures, and says how dspy's side was set up; default: those of this benchmark.
    """
    options = _parse(arguments)
    with tempfile.TemporaryDirectory(prefix="rlm-benchmark-") as scratch:
        made, note = (prepare or _prepare)(Path(scratch).resolve(), _say)
        chosen = [
            measure for measure in made if not options.only or any(row.name in options.only for row in measure.rows)
        ]
        findings = [finding for measure in chosen for finding in take(measure, options.repeats, _say)]
    if options.only:
        findings = [finding for finding in findings if finding.row.name in options.only]
    _report(findings, options, note)
    return 0 if all(finding.reached for finding in findings) else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python benchmarks/sandbox.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N", help="samples of each side (default: 5)")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to a file, too")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    return options


def _prepare(scratch: Path, say: Say) -> tuple[Sequence[Measure], str]:
    """The measures of this benchmark, once both sides have started and run: what is slow only once is done then."""
    from benchmarks.dspy_side import dspy_side
    from benchmarks.rows import calls, inputs, limits

    warnings.simplefilter("ignore")
    logging.getLogger("dspy").setLevel(logging.ERROR)
    logging.getLogger("rlm_module").setLevel(logging.ERROR)
    say("looking for what dspy's runner imports")
    side = dspy_side(scratch)
    made = (*inputs.measures(side), *calls.measures(side), *limits.measures(side))
    say("warming up")
    inputs.warm_up(side)
    return made, side.note


def _report(findings: Sequence[Finding], options: argparse.Namespace, note: str) -> None:
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("dspy", "deno"))
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    print(f"{machine}, {packages}; {options.repeats} repeats; load at the end {load}\n")
    print(f"{table(findings)}\n\n{_NOTES}\n- {note}\n")
    print(verdict(findings), flush=True)
    if options.json is not None:
        told = {"machine": machine, "packages": packages, "repeats": options.repeats, "dspy": note}
        options.json.write_text(json.dumps({**told, "findings": as_json(findings)}, indent=2) + "\n")


def _say(line: str) -> None:
    print(f"sandbox: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
