"""What is measured in a process of its own: `python -m benchmarks.child TASK WAY SIDE`.

TASK is `spin` (runs a cell that never ends, and says "spinning" once it does) or `load` (loads 100 MB and prints by
how many bytes the process has grown at most). WAY is `interpreter` or `rlm`. SIDE is `ours`, or dspy's Deno command as
JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import dspy

from benchmarks import processes
from benchmarks.dspy_side import DspySide
from benchmarks.scripted import root_lm
from rlm_module import RLM, Sandbox

_LOADED = 100_000_000
_SPIN = "spinning()\nwhile True: pass"


def spinning() -> None:
    print("spinning", flush=True)


def spin(way: str, make: Callable[[], Any], rlm: Any) -> None:
    """Runs a cell that never ends, in the way that a program would that knows nothing of Ctrl-C."""
    if way == "interpreter":
        interpreter = make()
        interpreter.tools["spinning"] = spinning
        with interpreter:
            interpreter.execute(_SPIN)
    else:
        with dspy.context(lm=root_lm([_SPIN])):
            rlm("task -> answer", tools=[spinning], interpreter_factory=make)(task="Spin.")


def load(make: Callable[[], Any]) -> int:
    """By how many bytes this process outgrows what it was before the text was made, the text itself included."""
    with make() as interpreter:
        interpreter.execute("print(1)")
        before = processes.resident()
        line = "00000001 | it's a record like any other\n"
        text = line * (_LOADED // len(line))
        if str(interpreter.execute("print(len(context))", {"context": text})).strip() != str(len(text)):
            raise RuntimeError("the text did not arrive")
        return processes.peak_resident() - before


def main(task: str, way: str, side: str) -> None:
    ours = side == "ours"
    command = None if ours else json.loads(side)
    make: Callable[[], Any] = Sandbox if ours else DspySide(None if command is None else tuple(command)).interpreter
    if task == "spin":
        spin(way, make, RLM if ours else dspy.RLM)
    else:
        print(load(make))


if __name__ == "__main__":
    main(*sys.argv[1:])
