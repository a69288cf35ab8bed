"""Outputs that point into the inputs: whether what they point at is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import pydantic

from rlm_module.signatures.inputs import SandboxInput, short
from rlm_module.signatures.text import Text

_FAULTS = 5


class Ungrounded(ValueError):
    """An output says of the inputs what is not so.

    Args:
        fault: What, and how to mend it, for the model.
        mended: The same output put right, where there is only one way to do that.
    """

    def __init__(self, fault: str, mended: Any = None) -> None:
        super().__init__(fault)
        self.mended = mended


@runtime_checkable
class Grounded(Protocol):
    """An output, or a part of one, that is checked against the run's inputs before it is accepted.

    Any class with this method takes part, wherever in an output its instances stand.
    """

    def check_against(self, inputs: Mapping[str, Any]) -> None:
        """Raises Ungrounded (or ValueError) if the inputs, by name, do not bear it out."""
        ...


def ungrounded(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> list[str]:
    """The first few faults of outputs, as sentences. What comes after them is not checked: it may take long."""
    faults: list[str] = []
    for place, item in _places(outputs):
        try:
            item.check_against(inputs)
        except Exception as error:  # a check may be the user's
            faults.append(f"`{place}`: {error}")
        if len(faults) == _FAULTS:
            return [*faults, "What comes after these was not checked; it may be wrong in such ways, too."]
    return faults


def grounded(inputs: Mapping[str, Any], value: Any) -> Any:
    """The value without the items of its lists that are not borne out, those that can be mended put right.

    Raises:
        ValueError: If the value is such an item itself, and cannot be mended.
    """
    if _is_grounded(value):
        try:
            value.check_against(inputs)
        except Ungrounded as error:
            if error.mended is None:
                raise
            return error.mended
        return value
    if type(value) is list:
        return [item for found in value for item in _kept(inputs, found)]
    if type(value) is dict:
        return {key: item for key, found in value.items() for item in _kept(inputs, found)}
    return value


def sources(inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The texts that citations may name: those of the input types, else all texts of the inputs, by input name."""
    own = [pair for value in inputs.values() if isinstance(value, SandboxInput) for pair in value.texts().items()]
    return own or [pair for name, value in inputs.items() for pair in _texts(name, value)]


def names_listed(names: list[str]) -> str:
    """The first few, quoted."""
    shown = ", ".join(repr(short(name, 60)) for name in names[:5])
    return f"{shown} and {len(names) - 5:,} more" if len(names) > 5 else shown


def _kept(inputs: Mapping[str, Any], value: Any) -> Iterator[Any]:
    try:
        kept = grounded(inputs, value)
    except Exception:  # a check may be the user's
        return
    yield kept


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, (str, Text)):
        yield name, value if isinstance(value, str) else value.sandbox_value()
    elif isinstance(value, Mapping):
        yield from ((str(key), text) for key, text in value.items() if isinstance(text, str))
    elif isinstance(value, (list, tuple)):
        yield from ((f"{name}[{at}]", text) for at, text in enumerate(value) if isinstance(text, str))


def _places(outputs: Mapping[str, Any]) -> Iterator[tuple[str, Grounded]]:
    """Everything in the outputs that can be checked, with where it stands."""
    waiting: list[tuple[str, Any]] = list(outputs.items())[::-1]
    while waiting:
        place, value = waiting.pop()
        if _is_grounded(value):
            yield place, value
        if isinstance(value, pydantic.BaseModel):
            inner = [(f"{place}.{name}", getattr(value, name)) for name in type(value).model_fields]
        elif isinstance(value, dict):
            inner = [(f"{place}[{short(repr(key), 40)}]", item) for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            inner = [(f"{place}[{at}]", item) for at, item in enumerate(value)]
        else:
            continue
        waiting += reversed(inner)


def _is_grounded(value: Any) -> bool:
    """As `isinstance(value, Grounded)`, which takes many times as long: outputs may have a hundred thousand items."""
    return callable(getattr(type(value), "check_against", None))
