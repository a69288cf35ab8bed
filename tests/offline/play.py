"""Runs the root's cells in this process: enough of a REPL to see what they do, without an RLM around them."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlm_module.offline import reader
from rlm_module.offline.prompt import Field
from rlm_module.offline.root import act
from rlm_module.offline.task import Input, Step, Task


class Submitted(BaseException):
    """What SUBMIT raises to end a cell."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a run: the submitted values, or None, and the cells."""

    outputs: dict[str, Any] | None
    steps: tuple[Step, ...]

    @property
    def stages(self) -> list[str]:
        return [step.code.split(":")[0].removeprefix("# ") for step in self.steps]


def play(
    inputs: Mapping[str, Any],
    outputs: Sequence[Field] = (Field("answer"),),
    *,
    query: Callable[[str], Any] | None = reader.reply,
    refuse: Callable[[dict[str, Any]], str | None] = lambda _: None,
    known: bool = True,
    turns: int = 10,
) -> Played:
    """Plays a run to its end.

    Args:
        inputs: The sandbox's variables.
        outputs: What SUBMIT takes.
        query: The sub-LM; None where the run has none.
        refuse: Tells why a submission isn't accepted.
        known: Whether the root is told the inputs' names.
        turns: Most cells to run.
    """

    def submit(**values: Any) -> None:
        if message := refuse(values):
            raise TypeError(message)
        raise Submitted(values)

    space: dict[str, Any] = {**inputs, "SUBMIT": submit, "__name__": "__main__"}
    if query is not None:
        space |= {"llm_query": query, "llm_query_batched": lambda prompts: [query(prompt) for prompt in prompts]}
    names = tuple(Input(name, type(value).__name__, repr(value)[:200]) for name, value in inputs.items() if known)
    task = Task("Answer the question.", names, tuple(outputs), query is not None, query is not None, ())
    for _ in range(turns):
        code = act(task).code
        output, values = _run(code, space)
        task = replace(task, steps=(*task.steps, Step(code.strip(), output)))
        if values is not None:
            return Played(values, task.steps)
    return Played(None, task.steps)


def _run(code: str, space: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(code, "<cell>", "exec"), space)
        except Submitted as submitted:
            return printed.getvalue(), submitted.args[0]
        except Exception:
            print(traceback.format_exc(limit=-1))
    return printed.getvalue(), None
