"""How the predictors of one task are told from those of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dspy

TASK_KEY = "task"


def task_mark(task: type[dspy.Signature]) -> str:
    """The task's name and fields, to be carried in a field's `json_schema_extra`.

    dspy compares signatures by instructions and that dict, never by class. Without it the two RLMs of one program,
    whose predictors share their instructions, would be taken for each other by its optimizers.
    """
    return f"{task.__name__}({task.signature})"


def with_task_mark(signature: type[dspy.Signature], task: type[dspy.Signature]) -> type[dspy.Signature]:
    """The signature with the mark in its first input field, where no output schema shows it to a provider."""
    first = next(iter(signature.input_fields))
    extra: dict[str, Any] = {TASK_KEY: task_mark(task)}
    return signature.with_updated_fields(first, **extra)
