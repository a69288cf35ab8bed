"""`python benchmarks/sandbox.py`: this package's sandbox and RLM beside dspy's, on this machine, in one run.

The table goes to standard output and progress to standard error. The last line names what was not reached, and the
exit status is then 1.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, Python looks beside the script only

from benchmarks.command import Benchmark, Prepare
from benchmarks.measure import Measure, Say

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


BENCHMARK = Benchmark("sandbox", (__doc__ or "").splitlines()[0], NAMES, REPEATS, _NOTES)


def main(arguments: Sequence[str] | None = None, prepare: Prepare | None = None) -> int:
    """Measures, prints, and returns the exit status.

    Args:
        arguments: The command line; default: that of the process.
        prepare: Makes the measures, and says how dspy's side was set up; default: those of this benchmark.
    """
    return BENCHMARK.run(arguments, prepare or _prepare)


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


if __name__ == "__main__":
    raise SystemExit(main())
