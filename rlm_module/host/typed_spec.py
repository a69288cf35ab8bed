"""The description of a typed sub-call's signature, as the host accepts it: it comes from generated code, so that every
name, number and size in it is checked before anything is built from it.
"""

from __future__ import annotations

import json
import keyword
import math
from typing import Annotated, Any, Literal, TypeAlias, Union

import pydantic
from pydantic import AfterValidator, ConfigDict, Field

from rlm_module.errors import SubcallError
from rlm_module.prompting.shown import harmless
from rlm_module.sandbox.type_limits import (
    KEY_KINDS,
    MAX_CHOICES,
    MAX_DEPTH,
    MAX_FIELDS,
    MAX_INT_BITS,
    MAX_LABEL,
    MAX_NAME,
    MAX_RECORDS,
    MAX_SPEC,
    MAX_TEXT,
)

_MAX_LEVELS = 2 * MAX_DEPTH + 8
_MEND = "write the signature and its classes anew, smaller and plainer"


def _name(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{name[:50]!r} is no name")
    return name


def _field_name(name: str) -> str:
    if keyword.iskeyword(name) or name.startswith("_"):
        raise ValueError(f"{name!r} is no name for an input or output")
    return _name(name)


def _label(choice: str) -> str:
    """A choice crosses back as it was shown, so that it cannot be changed to be harmless."""
    if harmless(choice) != choice:
        raise ValueError(f"the choice {choice[:50]!r} holds marks of the prompt's own format")
    return choice


def _short_int(number: int) -> int:
    if number.bit_length() > MAX_INT_BITS:
        raise ValueError("a number has too many digits")
    return number


Name: TypeAlias = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_name)]
FieldName: TypeAlias = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_field_name)]
Label: TypeAlias = Annotated[str, Field(max_length=MAX_LABEL), AfterValidator(_label)]
Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(harmless)]
Integer: TypeAlias = Annotated[int, AfterValidator(_short_int)]


class _Part(pydantic.BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    desc: Text = ""


class Scalar(_Part):
    """A type without parts."""

    kind: Literal[
        "any", "none", "str", "int", "float", "bool", "date", "datetime", "time", "timedelta", "decimal", "uuid"
    ]


class Items(_Part):
    """A collection of items of one type."""

    kind: Literal["list", "set", "frozenset", "tuple_of"]
    of: Type


class Fixed(_Part):
    """A tuple with a type for each place."""

    kind: Literal["tuple"]
    items: Annotated[list[Type], Field(max_length=MAX_FIELDS)]


class Mapped(_Part):
    """A dict."""

    kind: Literal["dict"]
    keys: Type
    values: Type


class Either(_Part):
    """A union."""

    kind: Literal["union"]
    of: Annotated[list[Type], Field(min_length=1, max_length=MAX_FIELDS)]


class Choice(_Part):
    """A Literal."""

    kind: Literal["literal"]
    values: Annotated[list[Label | Integer | bool | None], Field(min_length=1, max_length=MAX_CHOICES)]


class Members(_Part):
    """An Enum, by the labels of its members."""

    kind: Literal["enum"]
    name: Name
    members: Annotated[list[Label], Field(min_length=1, max_length=MAX_CHOICES)]


class Ref(_Part):
    """A record, by its number in the table."""

    kind: Literal["ref"]
    to: Annotated[int, Field(ge=0, lt=MAX_RECORDS)]


Type: TypeAlias = Annotated[
    Union[Scalar, Items, Fixed, Mapped, Either, Choice, Members, Ref],  # noqa: UP007 - names that come later
    Field(discriminator="kind"),
]


class Member(_Part):
    """A field of a record."""

    name: Name
    type: Type
    required: bool = True
    default: Annotated[str, Field(max_length=MAX_LABEL), AfterValidator(harmless)] | Integer | float | bool | None = (
        None
    )


class Record(_Part):
    """A class with fields."""

    name: Name
    doc: Text = ""
    fields: Annotated[list[Member], Field(max_length=MAX_FIELDS)]


class Slot(_Part):
    """An input or output."""

    name: FieldName
    type: Type
    required: Literal[True] = True


class Spec(_Part):
    """A signature."""

    inputs: Annotated[list[Slot], Field(min_length=1, max_length=MAX_FIELDS)]
    outputs: Annotated[list[Slot], Field(min_length=1, max_length=MAX_FIELDS)]
    records: Annotated[list[Record], Field(max_length=MAX_RECORDS)] = []


def canonical(spec: Any) -> str:
    """The one text that equal descriptions share.

    Raises:
        SubcallError: If it is too large or too deep, or holds what JSON does not.
    """
    left, level = MAX_SPEC, [spec]
    for _ in range(_MAX_LEVELS):
        below: list[Any] = []
        for value in level:
            left -= _size(value)
            if left < 0:
                raise _invalid(f"it is longer than {MAX_SPEC:,} characters")
            below += value if type(value) is list else [*value, *value.values()] if type(value) is dict else []
        if not below:
            return json.dumps(spec, sort_keys=True)
        level = below
    raise _invalid(f"its types are nested deeper than {MAX_DEPTH} levels")


def read(text: str) -> Spec:
    """The checked description.

    Raises:
        SubcallError: Naming the first fault.
    """
    try:
        spec = Spec.model_validate_json(text)
    except pydantic.ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])[:200]
        raise _invalid(harmless(f"{where}: {fault['msg'][:200]}")) from None
    _check_names([slot.name for slot in (*spec.inputs, *spec.outputs)])
    _check_names([record.name for record in spec.records])
    for record in spec.records:
        _check_names([member.name for member in record.fields])
    for part in (*spec.inputs, *spec.outputs, *(member for record in spec.records for member in record.fields)):
        _check(part.type, len(spec.records))
    return spec


def _invalid(fault: str) -> SubcallError:
    return SubcallError("invalid", f"the signature's description cannot be used ({fault}); {_MEND}")


def _size(value: Any) -> int:
    if type(value) is str:
        return len(value) + 2
    if type(value) is int:
        return value.bit_length() // 3 + 2
    if value is None or type(value) in (bool, list) or (type(value) is float and math.isfinite(value)):
        return 2
    if type(value) is dict and all(type(key) is str for key in value):
        return 2
    raise _invalid(f"it holds a {type(value).__name__} where JSON has none")


def _check_names(names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _invalid(f"the name {twice} comes twice")


def _check(part: Any, records: int) -> None:
    """Checks what depends on other parts."""
    match part:
        case Ref() if part.to >= records:
            raise _invalid("it refers to a class that it lacks")
        case Items():
            _check(part.of, records)
        case Fixed():
            for item in part.items:
                _check(item, records)
        case Either():
            _check_union(part)
            for item in part.of:
                _check(item, records)
        case Mapped():
            if part.keys.kind not in KEY_KINDS:
                raise _invalid("keys of a dict must be text, numbers, dates, literals or enums")
            _check(part.keys, records)
            _check(part.values, records)
        case _:
            pass


def _check_union(part: Either) -> None:
    """Refuses types that only their inner values tell apart, for to try each takes time that doubles at each level."""
    lists = sum(isinstance(item, (Items, Fixed)) and _holds(item, True) for item in part.of)
    if lists > 1:
        raise _invalid("a union of several lists of classes cannot be told apart; write list[A | B]")
    dicts = sum(isinstance(item, Mapped) and _holds(item, True) for item in part.of)
    if dicts + any(isinstance(item, Ref) for item in part.of) > 1:
        raise _invalid("a union of a dict of classes with another, or with a class, cannot be told apart; use one")
    if any(isinstance(item, Either) for item in part.of):
        raise _invalid("a union stands in a union")


def _holds(part: Any, outer: bool = False) -> bool:
    """Whether there are collections or records inside a type."""
    match part:
        case Items():
            return not outer or _holds(part.of)
        case Fixed():
            return not outer or any(_holds(item) for item in part.items)
        case Mapped():
            return not outer or _holds(part.values)
        case Either():
            return any(_holds(item) for item in part.of)
        case _:
            return isinstance(part, Ref)
