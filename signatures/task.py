"""How the predictors of one task are told from those of another."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dspy

TASK_KEY = "task"

_numbers = itertools.count()


class TaskMark(str):
    """The mark in a predictor's signature, which copies of the predictor share.

    Two of one task are equal, so that a program can teach another that was built apart from it. Only those that were
    seen in one program are not: dspy then tells the runs of one from those of the other. `number` is a mark's own, and
    `beside` has the numbers of those.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.number = next(_numbers)
        self.beside: set[int] = set()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) is True and not (isinstance(other, TaskMark) and other.number in self.beside)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __copy__(self) -> TaskMark:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TaskMark:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskMark, (str(self),)


def tell_apart(signatures: Sequence[type[dspy.Signature]]) -> None:
    """Has dspy find those that carry marks of the same task unequal from now on, as they stand in one program."""
    marks: list[TaskMark] = []
    for signature in signatures:
        extras = [field.json_schema_extra for field in signature.input_fields.values()]
        found = [extra.get(TASK_KEY) for extra in extras if isinstance(extra, dict)]
        marks += [mark for mark in found if isinstance(mark, TaskMark)]
    numbers = {mark.number for mark in marks}
    for mark in marks:
        mark.beside |= numbers - {mark.number}


def task_mark(task: type[dspy.Signature]) -> str:
    """The task's name and fields, to be carried in a field's `json_schema_extra`.

    dspy compares signatures by instructions and that dict, never by class. Without it the two RLMs of one program,
    whose predictors share their instructions, would be taken for each other by its optimizers. Two of the same task
    are told apart by `tell_apart`.
    """
    return f"{task.__name__}({task.signature})"


def with_task_mark(signature: type[dspy.Signature], task: type[dspy.Signature]) -> type[dspy.Signature]:
    """The signature with the mark in its first input field, where no output schema shows it to a provider."""
    first = next(iter(signature.input_fields))
    extra: dict[str, Any] = {TASK_KEY: TaskMark(task_mark(task))}
    return signature.with_updated_fields(first, **extra)
