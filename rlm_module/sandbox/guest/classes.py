"""Classes that hold named fields: which fields they have, and how an instance is made."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any, get_origin


def members(kind: type, hints: Mapping[str, Any]) -> Iterator[tuple[str, bool, Any, str]]:
    """A record's fields: name, whether it has to be given, its default where it has one, its description."""
    if typing.is_typeddict(kind):
        for name, hint in hints.items():
            marked = getattr(get_origin(hint), "_name", "")
            required = marked == "Required" or (marked != "NotRequired" and name in getattr(kind, "__required_keys__"))  # noqa: B009
            yield name, required, ..., ""
    elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
        for name in getattr(kind, "_fields"):  # noqa: B009
            defaults: dict[str, Any] = getattr(kind, "_field_defaults", {})
            yield name, name not in defaults, defaults.get(name, ...), ""
    elif dataclasses.is_dataclass(kind):
        yield from _dataclass_members(kind)
    else:
        for name, hint in hints.items():
            if get_origin(hint) is not typing.ClassVar and hint is not typing.ClassVar:
                default = getattr(kind, name, ...)
                default = ... if inspect.isdatadescriptor(default) else default  # a slot
                yield name, default is ..., default, ""


def _dataclass_members(kind: Any) -> Iterator[tuple[str, bool, Any, str]]:
    for name, field in kind.__dataclass_fields__.items():
        if isinstance(field.type, dataclasses.InitVar) or "InitVar" in str(field.type):
            raise TypeError(f"{kind.__name__}.{name} is an InitVar, which no answer can hold; make it a field")
    for field in dataclasses.fields(kind):
        if field.init:
            default = ... if field.default is dataclasses.MISSING else field.default
            required = default is ... and field.default_factory is dataclasses.MISSING
            desc = field.metadata.get("desc") or field.metadata.get("description") or ""
            yield field.name, required, default, str(desc)


def make(record: type, fields: dict[str, Any]) -> Any:
    """An instance of a record's class."""
    kind: Any = record
    if typing.is_typeddict(record):
        return fields
    try:
        if record.__init__ is not object.__init__ or issubclass(record, tuple):
            return kind(**fields)
        made = object.__new__(kind)
        for name, value in fields.items():
            setattr(made, name, value)
        return made
    except Exception as error:  # the class is the model's own, and may check what it is given
        message = f"{record.__name__} refused the answer ({type(error).__name__}: {error})"
        raise ValueError(message) from None
