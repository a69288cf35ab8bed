"""What is asked when a run ends without an accepted answer: the outputs, out of what was found."""

from __future__ import annotations

from typing import Any

import dspy
from dspy.signatures.signature import make_signature

from rlm_module.signatures.task import with_task_mark

INSTRUCTIONS = """\
A run in a Python REPL ended before it submitted an answer. From the record of its turns, give the best answer that \
they support: prefer what the cells printed over what was planned, and do not invent what was never found."""


def extract_signature(task: type[dspy.Signature], instructions: str = INSTRUCTIONS) -> type[dspy.Signature]:
    """The signature that draws up a task's outputs from the record of a run.

    Args:
        task: The signature of the RLM, whose output fields it shares.
        instructions: How to go about it.
    """
    told, record = extract_inputs(task)
    fields: dict[str, Any] = {
        told: (str, dspy.InputField(desc="The task and its inputs, as the run was given them")),
        record: (str, dspy.InputField(desc="The run's turns: reasoning, code, and what the code printed")),
        **{name: (field.annotation, field) for name, field in task.output_fields.items()},
    }
    return with_task_mark(make_signature(fields, instructions), task)


def extract_inputs(task: type[dspy.Signature]) -> tuple[str, str]:
    """The names of its two inputs: `task` and `transcript`, unless outputs of the user's bear them."""
    taken = task.output_fields
    return "task_" if "task" in taken else "task", "transcript_" if "transcript" in taken else "transcript"
