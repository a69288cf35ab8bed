"""Described types without parts: scalars, literals and enums."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable
from enum import Enum
from typing import Any

from rlm_module.sandbox.type_limits import MAX_CHOICES, MAX_INT_BITS, MAX_LABEL, MAX_NAME, MAX_TEXT


class Misfit(ValueError):
    """A value that is not of the type it should have."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """A described type.

    Args:
        spec: What it is, in JSON's types.
        restore: Makes a plain value one of the type; raises `Misfit` where it is none.
    """

    spec: dict[str, Any]
    restore: Callable[[Any], Any]


def field_spec(name: str, shape: Shape, required: bool = True, desc: str = "", default: Any = ...) -> dict[str, Any]:
    """A field as it is described; the description of its type becomes its own."""
    spec = dict(shape.spec)
    desc = shortened(desc) or spec.pop("desc", "")
    found: dict[str, Any] = {"name": name, "type": spec, "required": required}
    if desc:
        found["desc"] = desc
    default = label(default) if isinstance(default, Enum) else default
    if is_short(default):
        found["default"] = default
    return found


def check_name(name: str) -> None:
    """Refuses a field's name that cannot be described."""
    if not name.isidentifier() or len(name) > MAX_NAME:
        raise ValueError(f"`{shown(name)}` is no name for a field; use letters, digits and underscores")


def label(member: Enum) -> Any:
    """What an enum's member is called in prompts: its value where all values are text, else its name."""
    values = [other.value for other in type(member)]
    return member.value if all(type(value) is str for value in values) else member.name


def shown(value: Any) -> str:
    """A value in a message."""
    text = value.__name__ if isinstance(value, type) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def shortened(text: str) -> str:
    """A description without indentation, cut to the longest that may cross."""
    text = inspect.cleandoc(text)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


def restore_any(value: Any) -> Any:
    """Takes whatever comes."""
    return value


def restore_none(value: Any) -> None:
    """Takes None alone."""
    if value is not None:
        raise Misfit(f"{shown(value)} is not None")


def restore_scalar(kind: type) -> Callable[[Any], Any]:
    """Takes values of exactly that type, so that a bool is no int."""

    def restore(value: Any) -> Any:
        if type(value) is not kind:
            raise Misfit(f"{shown(value)} is no {kind.__name__}")
        return value

    return restore


def literal(values: tuple[Any, ...]) -> Shape:
    """The shape of a Literal of these values."""
    choices = [(label(value) if isinstance(value, Enum) else value, value) for value in values]
    for choice, _ in choices:
        if not is_short(choice) or isinstance(choice, float):
            raise TypeError(f"a Literal holds short text, integers, True, False and None, not {shown(choice)}")
    _check_number(choices)
    return _choices({"kind": "literal", "values": [choice for choice, _ in choices]}, choices)


def enumeration(kind: type[Enum]) -> Shape:
    """The shape of an Enum, whose members come back by label, value or name."""
    choices = [(label(member), member) for member in kind]
    for choice, _ in choices:
        if not is_short(choice):
            raise ValueError(f"{kind.__name__} has a value longer than {MAX_LABEL} characters; shorten it")
    _check_number(choices)
    spec = {"kind": "enum", "name": kind.__name__[:MAX_NAME], "members": [choice for choice, _ in choices]}
    doc = own_doc(kind)
    also = [*choices, *((member.value, member) for member in kind), *kind.__members__.items()]
    return _choices({**spec, "desc": doc} if doc else spec, also)


def _check_number(choices: list[tuple[Any, Any]]) -> None:
    if not 0 < len(choices) <= MAX_CHOICES:
        raise ValueError(f"there must be between 1 and {MAX_CHOICES} choices, not {len(choices)}; use str for more")


def _choices(spec: dict[str, Any], choices: list[tuple[Any, Any]]) -> Shape:
    def restore(value: Any) -> Any:
        for choice, meant in choices:
            if type(choice) is type(value) and choice == value:
                return meant
        raise Misfit(f"{shown(value)} is none of the choices")

    return Shape(spec, restore)


def is_short(value: Any) -> bool:
    """Whether a default or choice is of a kind and size that a description may hold."""
    if type(value) is str:
        return len(value) <= MAX_LABEL
    if type(value) is int:
        return value.bit_length() <= MAX_INT_BITS
    return value is None or type(value) is bool or (type(value) is float and math.isfinite(value))


def own_doc(kind: type) -> str:
    """The class's own docstring, unless Python wrote it."""
    doc = kind.__dict__.get("__doc__")
    return shortened(doc) if isinstance(doc, str) and not doc.startswith(f"{kind.__name__}(") else ""
