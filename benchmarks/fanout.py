"""`python benchmarks/fanout.py`: many LM calls at once, over real sockets, and what is left when they are cut off.

The table goes to standard output and progress to standard error. The last line names what was not reached, and the
exit status is then 1.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, Python looks beside the script only
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else litellm fetches its price list

from benchmarks.command import Benchmark, Prepare
from benchmarks.measure import Measure, Say

REPEATS = 3
NAMES = (
    "loop-lm15",
    "loop-litellm",
    "chain",
    "dspy",
    "tree",
    "sigint",
    "cancel",
    "deadline",
    "deadline-silent",
    "kills",
)

_NOTES = """\
Figures are medians unless the measure says otherwise, with least and greatest sample in brackets. What a figure stands
beside is named after the semicolon; where nothing is, it is the limit. LM calls go to a server in a process of its own.
- loops: from before the first call to after the last, within the cell.
- chain, dspy: a tenth of the hundred calls, which one after another take ten times as long; no limit, to compare.
- tree: from the call of the root to its answer. Its critical path is the longest sum of LM latencies from the root to
  a leaf and back: two turns a node, one call a leaf. Sandboxes start beside it, on this machine's cores.
- leaving: the signal is followed to the process's exit. A process of the run that is left makes it a miss.
- kills: calls of 50 runs that were paid for twice, beside those in flight when SIGKILL came. A resumed run that
  answers otherwise than the undisturbed one, or pays twice for more than was in flight, makes it a miss."""

BENCHMARK = Benchmark("fanout", (__doc__ or "").splitlines()[0], NAMES, REPEATS, _NOTES, "beside")


def main(arguments: Sequence[str] | None = None, prepare: Prepare | None = None) -> int:
    """Measures, prints, and returns the exit status.

    Args:
        arguments: The command line; default: that of the process.
        prepare: Makes the measures; default: those of this benchmark.
    """
    with contextlib.ExitStack() as stack:
        return BENCHMARK.run(arguments, prepare or partial(_prepare, stack))


def _prepare(stack: contextlib.ExitStack, scratch: Path, say: Say) -> tuple[Sequence[Measure], str]:
    """The measures of this benchmark, with a server that runs as long as the stack is open."""
    from benchmarks.dspy_side import dspy_side
    from benchmarks.fanout_model import FanoutModel
    from benchmarks.rows import fanout, kills, leaving
    from tests.model_server import ModelServerProcess

    warnings.simplefilter("ignore")
    logging.getLogger("dspy").setLevel(logging.ERROR)
    logging.getLogger("rlm_module").setLevel(logging.ERROR)
    say("looking for what dspy's runner imports")
    side = dspy_side(scratch)
    server = stack.enter_context(ModelServerProcess(FanoutModel()))
    say("warming up")
    fanout.warm_up(server)
    made = (*fanout.measures(server, side), *leaving.measures(server), *kills.measures(scratch))
    return made, side.note


if __name__ == "__main__":
    raise SystemExit(main())
