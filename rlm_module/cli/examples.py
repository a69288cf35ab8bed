"""Examples to compile on, read from JSON lines."""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_module.errors import InputError

if TYPE_CHECKING:
    import dspy

_FEWEST = 3
_SHARES = (0.5, 0.25)
"""Of a single file, for training and for validation; the rest is held out."""


@dataclass(frozen=True, slots=True)
class Split:
    """Examples by what they are for.

    Args:
        train: Shown to the optimizer.
        validation: The best program is chosen by these.
        held_out: Never seen while compiling; may be empty.
    """

    train: list[dspy.Example]
    validation: list[dspy.Example]
    held_out: list[dspy.Example]


def read_examples(path: Path, program: dspy.Module, inputs: Sequence[str] = ()) -> list[dspy.Example]:
    """Reads one example a line: an object with the program's inputs, and whatever else the metric looks at.

    Args:
        path: A file of JSON lines in UTF-8.
        program: Its inputs are marked as inputs.
        inputs: Names of them, where the program does not tell them itself.

    Raises:
        InputError: If the file is none, is empty, or an example lacks an input.
    """
    import dspy

    needed, known = (list(inputs), set(inputs)) if inputs else _inputs(program)
    if known is None:
        raise InputError("The program takes any input by its `forward`; name those of the examples with --inputs.")
    examples: list[dspy.Example] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # other ends of lines may stand in a text
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise InputError(f"{path} cannot be read ({reason}); name a file of JSON lines.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number} is no JSON ({error}); write one object a line.") from error
        if not isinstance(found, dict):
            raise InputError(f"{path}, line {number} is no object; write the inputs and the labels by name.")
        if missing := [name for name in needed if name not in found]:
            raise InputError(f"{path}, line {number} lacks the program's input {', '.join(missing)}; add it.")
        marked = [name for name in found if name in known]
        examples.append(dspy.Example(found).with_inputs(*marked))
    if not examples:
        raise InputError(f"{path} holds no examples; write one JSON object a line.")
    return examples


def split(
    examples: Sequence[dspy.Example],
    validation: Sequence[dspy.Example] | None,
    held_out: Sequence[dspy.Example] | None,
    seed: int,
) -> Split:
    """Divides what comes in one file, and leaves alone what comes in files of its own.

    Args:
        examples: Those of the first file.
        validation: Those of a file of their own, if there is one.
        held_out: The same.
        seed: Decides which of the first file's examples go where.

    Raises:
        InputError: If there are too few to divide.
    """
    shuffled = list(examples)
    if validation is None or held_out is None:
        random.Random(seed).shuffle(shuffled)
    if validation is not None:
        return Split(shuffled, list(validation), list(held_out or ()))
    if len(shuffled) < _FEWEST:
        raise InputError(
            f"{len(shuffled)} examples cannot be divided into training, validation and held-out ones; "
            f"give at least {_FEWEST}, or a file of its own with --validation."
        )
    cuts = [max(1, round(len(shuffled) * share)) for share in _SHARES]
    train, rest = shuffled[: cuts[0]], shuffled[cuts[0] :]
    if held_out is not None:
        return Split(train, rest, list(held_out))
    return Split(train, rest[: cuts[1]], rest[cuts[1] :])


def _inputs(program: dspy.Module) -> tuple[list[str], set[str] | None]:
    """The inputs that a program needs, and all that it takes; None where it takes whatever comes."""
    fields = getattr(getattr(program, "signature", None), "input_fields", None)
    if fields is not None:
        return [name for name, field in fields.items() if field.is_required()], set(fields)
    kind: Any = type(program)
    parameters = [*inspect.signature(kind.forward).parameters.values()][1:]
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
    return [one.name for one in named if one.default is one.empty], None if takes_any else {one.name for one in named}
