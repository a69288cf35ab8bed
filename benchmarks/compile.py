"""`python benchmarks/compile.py`: how well programs compile, on simulated models, beside dspy.GEPA.

Tables go to standard output and progress to standard error. The last line names what was not reached, and the exit
status is then 1.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, Python looks beside the script only
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else litellm fetches its price list

from benchmarks.compiling import arms, pair, recording
from benchmarks.compiling.advice import HARM, PIECES
from benchmarks.compiling.arms import ENOUGH
from benchmarks.compiling.figures import (
    Results,
    arms_table,
    costs_table,
    credits_table,
    figures_table,
    verdict,
)

SEEDS, REPEATS = 10, 9
PARTS = ("pair", "recording")
NAMES = (*arms.ARMS, *PARTS)

_NOTES = f"""\
Medians over seeds, with least and greatest in brackets. Models are simulated and take no time, and cells run in this
process, alike for all arms, so seconds are those of the optimizers and of the RLM's own work.
- pieces held: of {PIECES} pieces of advice, in the strategy of the returned program. Each harmful line of a strategy
  takes {HARM:g} from the score of every example, which does not fall below 0.
- runs to {ENOUGH}: program runs, as the harness counts them, until the first whose strategy holds {ENOUGH} pieces; an
  arm that never has one stands with its cap.
- runs: dspy.GEPA looks at its limit between iterations only; its limit is set so that it stays within the cap.
- blanked: the words of runs are struck out of what the reflection model reads, and it guesses.
- proposals: texts with which an RLM ran for the first time, in compiles of {pair.CAP} runs of a program of two RLMs.
- recording: processor time of rendering and diagnosing a run of so many turns, each with a sub-call."""

Measure: TypeAlias = "Callable[[Sequence[str], int, int], Results]"
Job: TypeAlias = "tuple[str, Callable[..., Any], tuple[Any, ...]]"


def main(arguments: Sequence[str] | None = None, measure: Measure | None = None) -> int:
    """Measures, prints, and returns the exit status: 1 where a figure was missed.

    Args:
        arguments: The command line; default: that of the process.
        measure: Measures what is chosen, with so many seeds, on so many processes; default: `measured`.
    """
    options = _parse(arguments)
    began = time.monotonic()
    results = (measure or measured)(options.only or NAMES, options.seeds, options.processes)
    _report(results, options, time.monotonic() - began)
    return 1 if results.faults or not all(figure.is_reached for figure in results.figures()) else 0


def measured(names: Sequence[str], seeds: int, processes: int) -> Results:
    """All that is chosen, compiles side by side and the rest by itself."""
    costs = recording.costs(REPEATS) if "recording" in names else []
    jobs: list[Job] = []
    if "pair" in names:
        for compiler in ("RLMGEPA", "dspy.GEPA"):
            jobs += [
                (f"pair {compiler}", pair.credited, (compiler, fault, seed))
                for fault in pair.FAULTS
                for seed in range(seeds)
            ]
    chosen = [name for name in arms.ARMS if name in names]
    jobs += [(name, arms.compiled, (name, seed)) for name in chosen for seed in range(seeds)]
    done, faults = _done(jobs, processes)
    return Results(
        {name: done[name] for name in chosen if done.get(name)},
        done.get("pair RLMGEPA", ()),
        done.get("pair dspy.GEPA", ()),
        costs,
        faults,
    )


def _done(jobs: Sequence[Job], processes: int) -> tuple[dict[str, list[Any]], list[str]]:
    """What jobs returned, by their names, and why some did not."""
    done: dict[str, list[Any]] = {}
    faults: dict[str, str] = {}
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(function, *given): (name, given) for name, function, given in jobs}
        for number, future in enumerate(as_completed(futures), 1):
            name, given = futures[future]
            _say(f"{number} of {len(jobs)}: {name} {given}")
            try:
                done.setdefault(name, []).append(future.result())
            except Exception as error:
                told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                faults.setdefault(name, f"{name} could not be measured ({told})")
    return done, list(faults.values())


def _say(line: str) -> None:
    print(f"compile: {line}", file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python benchmarks/compile.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help=f"seeds of each arm (default: {SEEDS})")
    some = f"some of: {', '.join(NAMES)}"
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=some)
    cores = os.cpu_count() or 1
    parser.add_argument("--processes", type=int, default=cores, metavar="N", help="compiles side by side")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every outcome to a file, too")
    options = parser.parse_args(arguments)
    for name in ("seeds", "processes"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return options


def _report(results: Results, options: argparse.Namespace, seconds: float) -> None:
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("dspy", "gepa"))
    print(f"{machine}, {packages}; {options.seeds} seeds; took {seconds:.0f} s\n")
    credits = {"RLMGEPA": results.credits, "dspy.GEPA": results.beside}
    if results.outcomes:
        print(f"{arms_table(results.outcomes)}\n")
    if any(credits.values()):
        print(f"{credits_table({title: found for title, found in credits.items() if found})}\n")
    if results.costs:
        print(f"{costs_table(results.costs)}\n")
    print(f"{figures_table(results.figures())}\n\n{_NOTES}\n")
    print(verdict(results), flush=True)
    if options.json is not None:
        told = {
            "machine": machine,
            "packages": packages,
            "outcomes": {name: [asdict(outcome) for outcome in found] for name, found in results.outcomes.items()},
            "credits": {title: [asdict(credit) for credit in found] for title, found in credits.items()},
            "costs": [asdict(cost) for cost in results.costs],
            "figures": [asdict(figure) for figure in results.figures()],
            "verdict": verdict(results),
        }
        options.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
