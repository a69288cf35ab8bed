"""The program to compile and its metric, by the names a user gave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_module.cli.source import load_attribute, split_source
from rlm_module.errors import InputError

if TYPE_CHECKING:
    import dspy

EXACT = "exact"
"""The metric that compares each label that is an output with it."""


def load_program(source: str) -> dspy.Module:
    """The program that `file.py:name` is, or that the function of that name makes.

    Raises:
        InputError: If there is none.
    """
    import dspy

    place = split_source(source)
    if place is None:
        raise InputError(f"{source!r} names no program; write it as file.py:name")
    found = load_attribute(*place)
    if callable(found) and not isinstance(found, dspy.Module):
        try:
            found = found()
        except Exception as error:  # whatever the user's own code raises
            raise InputError(f"{source} cannot be made ({type(error).__name__}: {error}); mend it first") from error
    if not isinstance(found, dspy.Module):
        raise InputError(f"{source} is a {type(found).__name__}, not a dspy.Module; name a program or what makes one")
    return found


def load_metric(name: str, source: str, program: dspy.Module) -> Callable[..., Any]:
    """The metric that is meant.

    Args:
        name: `file.py:name`, a name in the program's file, or `exact`.
        source: `file.py:name` of the program.
        program: It, whose outputs `exact` compares.

    Raises:
        InputError: If there is none.
    """
    if name == EXACT:
        return exact(frozenset(getattr(getattr(program, "signature", None), "output_fields", ())))
    place = split_source(name) or (Path(source.rpartition(":")[0]), name)
    found = load_attribute(*place)
    if not callable(found):
        raise InputError(f"the metric {name} cannot be called; name a function of an example and a prediction")
    return found


def exact(outputs: frozenset[str]) -> Callable[..., float]:
    """A metric: the share of the labels that the prediction equals; texts are compared without case and outer space.

    Args:
        outputs: What the program declares. Of other labels only those count that a prediction has.
    """

    def is_exact(example: dspy.Example, prediction: Any, trace: Any = None) -> float:
        found: dict[str, Any] = dict(prediction.items()) if hasattr(prediction, "items") else vars(prediction)
        labels = {name: value for name, value in example.labels().items() if name in outputs or name in found}
        if not labels:
            raise InputError("no label of the example is an output of the program; name them alike, or write a metric")
        same = [_plain(value) == _plain(found.get(name)) for name, value in labels.items()]
        return sum(same) / len(same)

    return is_exact


def _plain(value: Any) -> Any:
    return " ".join(value.split()).casefold() if isinstance(value, str) else value
