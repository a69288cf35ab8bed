"""Values of types that JSON lacks, as JSON objects with the key `$`, and back. Both sides run this file."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import operator
import re
from collections import namedtuple
from collections.abc import Callable, KeysView, Mapping, ValuesView
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from keyword import iskeyword
from pathlib import PurePath, PurePosixPath
from typing import Any, TypeAlias
from uuid import UUID

from rlm_module.errors import SubcallError
from rlm_module.sandbox.record import Record

MAX_DEPTH = 150
EXACT_INT_BITS = 4096
"""Longest integer that is sent as JSON's number."""
SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")

_FRACTION_BITS = 16_384  # reducing one takes time with the square of its length
_NAMED_FIELDS = 1000
_NAMED_TYPES = 256  # making one takes a millisecond, which hostile bytes must not cost thousands of times
_EQUAL_HASHES = 1000
Default: TypeAlias = "Callable[[Any], Any] | None"
Lower: TypeAlias = "Callable[[Any], Any]"
_named_types: dict[tuple[str, tuple[str, ...]], Any] = {}


class CodecError(ValueError):
    """A value that cannot cross, or bytes that are no value."""


def lowered(value: Any, depth: int, default: Default) -> Any:
    """The value in JSON's types, with tagged objects for all others; what has a `sandbox_value` crosses as that.

    Args:
        value: What to send.
        depth: How deep it lies in what is sent.
        default: As in `encode`.

    Raises:
        CodecError: For a type that cannot cross.
        RecursionError: Where it is nested deeper than 150 levels, or in itself.
    """
    if depth > MAX_DEPTH:
        raise RecursionError
    if value is None or isinstance(value, bool):
        return value

    def lower(item: Any) -> Any:
        return lowered(item, depth + 1, default)

    for kind, dump in _DUMP:
        if isinstance(value, kind):
            return dump(value, lower)
    enter = getattr(type(value), "sandbox_value", None)
    if enter is not None:
        return lowered(enter(value), depth + 1, default)
    fields = _fields(value)
    if fields is not None:
        return _record(type(value).__name__, fields, getattr(type(value), "sandbox_repr_chars", 0), lower)
    if default is not None:
        return lowered(default(value), depth + 1, None)
    raise CodecError(
        f"a value of type {type(value).__name__} cannot cross the sandbox's wall; "
        "pass str, numbers, bytes, dates, lists, dicts, sets or dataclasses of these"
    )


def raise_object(found: dict[str, Any]) -> Any:
    """JSON's objects back to values: called for each, innermost first.

    Raises:
        CodecError: For one of an unknown type; a body that is wrong may raise whatever making the value does.
    """
    if "$" not in found:
        return found
    tag, body = found["$"], found.get("v")
    if not isinstance(tag, str) or tag not in _RAISE or len(found) != 2:
        raise CodecError("these bytes are no value (unknown type)")
    return _RAISE[tag](body)


def _tagged(tag: str, body: Any) -> dict[str, Any]:
    return {"$": tag, "v": body}


def _dump_text(value: str, lower: Lower) -> Any:
    text = str.__str__(value)
    if text.isascii() or not SURROGATE_PAIR.search(text):
        return text
    return _tagged("text", base64.b64encode(text.encode("utf-8", "surrogatepass")).decode())


def _dump_int(value: int, lower: Lower) -> Any:
    number = int(value)
    return number if number.bit_length() <= EXACT_INT_BITS else _tagged("int", hex(number))


def _dump_record(value: Record, lower: Lower) -> Any:
    name, limit = (object.__getattribute__(value, own) for own in ("type_name", "repr_chars"))
    return _record(lower(name), dict(dict.items(value)), limit, lower)


def _record(name: Any, fields: Mapping[str, Any], repr_chars: int, lower: Lower) -> Any:
    limit = [repr_chars] if repr_chars else []
    return _tagged("record", [name, [[lower(key), lower(item)] for key, item in fields.items()], *limit])


def _dump_dict(value: dict[Any, Any], lower: Lower) -> Any:
    if all(type(key) is str and key != "$" and (key.isascii() or not SURROGATE_PAIR.search(key)) for key in value):
        return {key: lower(item) for key, item in value.items()}
    return _tagged("dict", [[lower(key), lower(item)] for key, item in value.items()])


def _dump_tuple(value: tuple[Any, ...], lower: Lower) -> Any:
    names = getattr(value, "_fields", None)
    items = [lower(item) for item in value]
    return _tagged("tuple", items) if names is None else _tagged("named", [type(value).__name__, [*names], items])


def _dump_fraction(value: Fraction, lower: Lower) -> Any:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _FRACTION_BITS:
        raise CodecError("a fraction this long cannot cross the sandbox's wall; pass its numerator and denominator")
    return _tagged("fraction", [hex(value.numerator), hex(value.denominator)])


def _fields(value: Any) -> Mapping[str, Any] | None:
    """The fields of a pydantic model, dataclass or foreign mapping, else None."""
    if isinstance(value, type):
        return None
    model_fields = getattr(type(value), "model_fields", None)
    if isinstance(model_fields, dict):
        extra = getattr(value, "model_extra", None) or {}
        return {**{name: getattr(value, name) for name in model_fields}, **extra}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    return None


def _items(body: Any) -> list[Any]:
    """The items of a collection; refuses what is small on the wire and endless to walk, such as a range."""
    if type(body) is not list:
        raise CodecError("these bytes are no value (a collection of something else)")
    return body


def _hashable(items: list[Any]) -> list[Any]:
    """The items; refuses those that were made to share a hash, for a set of a million such would take hours."""
    hashes = sorted(map(hash, items)) if len(items) > _EQUAL_HASHES else []
    if any(map(operator.eq, hashes, hashes[_EQUAL_HASHES:])):
        raise CodecError("these bytes are no value (keys that collide)")
    return items


def _raise_dict(body: list[Any]) -> dict[Any, Any]:
    _hashable([key for key, _ in _items(body)])
    return dict(body)


def _raise_named(body: Any) -> Any:
    name, fields, items = body
    if len(fields) > _NAMED_FIELDS:
        raise CodecError("these bytes are no value (a named tuple of too many fields)")
    key = str(name), tuple(_items(fields))
    if key not in _named_types:
        if len(_named_types) >= _NAMED_TYPES:
            return tuple(_items(items))
        usable = key[0] if key[0].isidentifier() and not iskeyword(key[0]) else "Named"
        _named_types[key] = namedtuple(usable, key[1], rename=True)  # pyright: ignore[reportUntypedNamedTuple]
    return _named_types[key](*_items(items))


def _raise_fraction(body: Any) -> Fraction:
    numerator, denominator = (int(part, 16) for part in body)
    if max(numerator.bit_length(), denominator.bit_length()) > _FRACTION_BITS:
        raise CodecError("these bytes are no value (a fraction of too many digits)")
    return Fraction(numerator, denominator)


def _zone(value: dt.datetime) -> str | None:
    return getattr(value.tzinfo, "key", None)


def _raise_datetime(body: Any) -> dt.datetime:
    text, fold, zone = body
    value = dt.datetime.fromisoformat(text).replace(fold=fold)
    if isinstance(zone, str):
        import zoneinfo

        try:
            return value.replace(tzinfo=zoneinfo.ZoneInfo(zone))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            return value  # no time zone data on this side: the fixed offset stays
    return value


# In this order: the first kind that fits counts.
_DUMP: list[tuple[Any, Callable[[Any, Lower], Any]]] = [
    (Enum, lambda value, lower: lower(value.value)),
    (str, _dump_text),
    (int, _dump_int),
    (float, lambda value, _: float(value)),
    (Record, _dump_record),
    (dict, _dump_dict),
    ((list, KeysView, ValuesView), lambda value, lower: [lower(item) for item in value]),
    (tuple, _dump_tuple),
    (set, lambda value, lower: _tagged("set", [lower(item) for item in value])),
    (frozenset, lambda value, lower: _tagged("frozenset", [lower(item) for item in value])),
    (bytearray, lambda value, _: _tagged("bytearray", base64.b64encode(value).decode())),
    ((bytes, memoryview), lambda value, _: _tagged("bytes", base64.b64encode(value).decode())),
    (Decimal, lambda value, _: _tagged("decimal", str(value))),
    (Fraction, _dump_fraction),
    (complex, lambda value, _: _tagged("complex", [value.real, value.imag])),
    (dt.datetime, lambda value, _: _tagged("datetime", [value.isoformat(), value.fold, _zone(value)])),
    (dt.date, lambda value, _: _tagged("date", value.isoformat())),
    (dt.time, lambda value, _: _tagged("time", [value.isoformat(), value.fold])),
    (dt.timedelta, lambda value, _: _tagged("timedelta", [value.days, value.seconds, value.microseconds])),
    (UUID, lambda value, _: _tagged("uuid", value.hex)),
    (PurePath, lambda value, lower: _tagged("path", lower(value.as_posix()))),
    (range, lambda value, _: _tagged("range", [value.start, value.stop, value.step])),
    (SubcallError, lambda value, lower: _tagged("subcall_error", [value.kind, lower(value.message)])),
]

_RAISE: dict[str, Callable[[Any], Any]] = {
    "int": lambda body: int(body, 16),
    "record": lambda body: Record(str(body[0]), _raise_dict(body[1]), int(body[2]) if len(body) > 2 else 0),
    "text": lambda body: base64.b64decode(body, validate=True).decode("utf-8", "surrogatepass"),
    "dict": _raise_dict,
    "tuple": lambda body: tuple(_items(body)),
    "named": _raise_named,
    "set": lambda body: set(_hashable(_items(body))),
    "frozenset": lambda body: frozenset(_hashable(_items(body))),
    "bytes": lambda body: base64.b64decode(body, validate=True),
    "bytearray": lambda body: bytearray(base64.b64decode(body, validate=True)),
    "decimal": Decimal,
    "fraction": _raise_fraction,
    "complex": lambda body: complex(body[0], body[1]),
    "datetime": _raise_datetime,
    "date": dt.date.fromisoformat,
    "time": lambda body: dt.time.fromisoformat(body[0]).replace(fold=body[1]),
    "timedelta": lambda body: dt.timedelta(days=body[0], seconds=body[1], microseconds=body[2]),
    "uuid": lambda body: UUID(hex=body),
    "path": PurePosixPath,
    "range": lambda body: range(*body),
    "subcall_error": lambda body: SubcallError(str(body[0]), str(body[1])),  # type: ignore[arg-type]
}
