"""What optimizers are given, checked before anything is paid for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import dspy

from rlm_module.errors import InputError


def refuse(whose: str, others: Iterable[str], mends: Mapping[str, str], mend: str = "leave it out") -> None:
    """Refuses arguments that are not taken, such as those of dspy's optimizers.

    Args:
        whose: What does not take them.
        others: Their names.
        mends: What to do instead, by name.
        mend: What to do about one that is not named there.

    Raises:
        InputError: If there are any.
    """
    name = next(iter(others), None)
    if name is not None:
        raise InputError(f"{whose} takes no {name}; {mends.get(name, mend)}.")


def check_metric(metric: Any) -> None:
    """Refuses what cannot be called.

    Raises:
        InputError: If so.
    """
    if not callable(metric):
        raise InputError(
            f"metric must be a function of an example and a prediction, not {type(metric).__name__}; pass one."
        )


def check_program(name: str, program: Any) -> None:
    """Refuses what is no program.

    Raises:
        InputError: If it is not a `dspy.Module`.
    """
    if isinstance(program, type):
        raise InputError(f"The {name} must be a dspy.Module, not a class; pass {program.__name__}(...).")
    if not isinstance(program, dspy.Module):
        raise InputError(f"The {name} must be a dspy.Module, not {type(program).__name__}.")


def check_count(name: str, value: Any, *, may_be_none: bool = False) -> None:
    """Refuses what is no number of things.

    Raises:
        InputError: If it is not a whole number of at least 1, and not None where that is allowed.
    """
    if not (value is None and may_be_none) and not (is_whole(value) and value >= 1):
        raise InputError(f"{name} must be a whole number of at least 1, not {value!r}.")


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether it is a whole number; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_finite(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def checked_examples(examples: Any, name: str = "trainset") -> list[dspy.Example]:
    """The examples as a list.

    Args:
        examples: What was given as such.
        name: What they are, for error messages.

    Raises:
        InputError: If there are none, or one is no example or does not say which of its fields are inputs.
    """
    if not isinstance(examples, Iterable) or isinstance(examples, str):
        raise InputError(f"The {name} must be a list of dspy.Example, not {type(examples).__name__}.")
    found: list[Any] = list(examples)
    if not found:
        raise InputError(f"The {name} is empty; give at least one dspy.Example.")
    for number, example in enumerate(found):
        if not isinstance(example, dspy.Example):
            raise InputError(f"Item {number} of the {name} is a {type(example).__name__}, not a dspy.Example.")
        if not _tells_inputs(example):
            raise InputError(
                f"Example {number} of the {name} does not tell its inputs; call `.with_inputs(...)` with their names."
            )
    return found


def _tells_inputs(example: dspy.Example) -> bool:
    try:
        return bool(example.inputs())
    except ValueError:
        return False
