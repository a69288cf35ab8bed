"""The values that cross between host and sandbox, as bytes. Both sides run this file, so it knows only Python.

A value is a tag byte and a body: text and bytes travel raw, what JSON holds exactly travels as JSON, and the rest as
JSON in which an object with the key `$` stands for a type that JSON lacks. Integers stay exact at any size, floats
keep NaN, infinities and the sign of zero, text keeps lone surrogates, and dicts keep their order and key types.
Nothing is ever executed or unpickled, so hostile bytes can at worst be refused.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
from collections import namedtuple
from collections.abc import Callable, Iterator, KeysView, Mapping, ValuesView
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from pathlib import PurePath, PurePosixPath
from typing import Any, TypeAlias
from uuid import UUID

from rlm_module.errors import SubcallError

MAX_DEPTH = 150
MAX_FRAME = 64 << 20
"""Longest encoded value that leaves the sandbox, in bytes."""

_CHUNK = 1 << 20
_EXACT_INT_BITS = 4096
_TEXT, _BYTES, _JSON, _TAGGED = b"T", b"B", b"J", b"X"
_JSON_SCALARS = frozenset((str, float, bool, type(None)))
Default: TypeAlias = "Callable[[Any], Any] | None"
Lower: TypeAlias = "Callable[[Any], Any]"
_to_json = json.JSONEncoder(check_circular=False).encode


class CodecError(ValueError):
    """A value that cannot cross, or bytes that are no value."""


class Record(dict[str, Any]):
    """A pydantic model, dataclass or other named structure on the far side: fields by attribute and by key.

    A field named like a dict method wins as attribute; `type_name` is the original class's name.
    """

    type_name: str

    def __init__(self, type_name: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        object.__setattr__(self, "type_name", type_name)

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("__") and dict.__contains__(self, name):
            return dict.__getitem__(self, name)
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __repr__(self) -> str:
        fields = ", ".join(f"{key}={value!r}" for key, value in dict.items(self))
        return f"{object.__getattribute__(self, 'type_name')}({fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Record, (object.__getattribute__(self, "type_name"), dict(dict.items(self)))


def plain(value: Any) -> Any:
    """The same value with every `Record` in it as a dict, the form that validators take."""
    if isinstance(value, dict):  # not value.items(): a Record's field may have that name
        return {plain(key): plain(item) for key, item in dict.items(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return tuple(plain(item) for item in value)
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value


def encode(value: Any, default: Default = None) -> bytes:
    """A value as bytes.

    Args:
        value: What to send.
        default: Turns an object of a foreign type into one that can cross, as for `json.dumps`.

    Raises:
        CodecError: For a type that cannot cross, or a value nested deeper than 150 levels (or in itself).
    """
    return b"".join(encode_chunks(value, default)[1])


def encode_chunks(value: Any, default: Default = None) -> tuple[int, Iterator[bytes]]:
    """The same as a total length in bytes and pieces of it, so that long text needs no second copy in memory."""
    if type(value) is str:
        length = len(value) if value.isascii() else sum(map(len, _text_chunks(value)))
        return length + 1, _prefixed(_TEXT, _text_chunks(value))
    if type(value) is bytes:
        return len(value) + 1, _prefixed(_BYTES, iter((value,)))
    body = encode_as_text(value, default).encode("ascii")
    return len(body), iter((body,))


def encode_as_text(value: Any, default: Default = None) -> str:
    """The same as ASCII text, which is what crosses from Python to JavaScript fastest; text is not sent raw then."""
    try:
        if _is_json(value, 0):
            return "J" + _to_json(value)
        return "X" + _to_json(_lower(value, 0, default))
    except RecursionError:
        raise CodecError("the value is nested too deeply or contains itself; pass a flatter one") from None


def decode(data: bytes | bytearray | memoryview) -> Any:
    """The value that `encode` made bytes of.

    Raises:
        CodecError: If the bytes are not such a value.
    """
    view = memoryview(data)
    tag, body = bytes(view[:1]), view[1:]
    try:
        if tag == _TEXT:
            return str(body, "utf-8", "surrogatepass")
        if tag == _BYTES:
            return bytes(body)
        if tag == _JSON:
            return json.loads(str(body, "utf-8", "surrogatepass"))
        if tag == _TAGGED:
            return json.loads(str(body, "utf-8", "surrogatepass"), object_hook=_raise_object)
    except CodecError:
        raise
    except (ValueError, TypeError, ArithmeticError, KeyError, AttributeError, RecursionError) as error:
        raise CodecError(f"these bytes are no value ({type(error).__name__}: {str(error)[:200]})") from None
    raise CodecError("these bytes are no value (unknown tag)")


def _text_chunks(text: str) -> Iterator[bytes]:
    for start in range(0, len(text), _CHUNK):
        yield text[start : start + _CHUNK].encode("utf-8", "surrogatepass")


def _prefixed(tag: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield tag
    yield from chunks


def _is_json(value: Any, depth: int) -> bool:
    """Whether JSON holds the value exactly. Subclasses don't count: JSON would drop their type.

    Plain loops, because every host call passes here and generators are slow in WebAssembly.
    """
    if depth > MAX_DEPTH:
        raise RecursionError
    kind = type(value)
    if kind in _JSON_SCALARS:
        return True
    if kind is int:
        return bool(value.bit_length() <= _EXACT_INT_BITS)
    if kind is list:
        items = value
    elif kind is dict:
        for key in value:
            if type(key) is not str or key == "$":
                return False
        items = value.values()
    else:
        return False
    for item in items:  # noqa: SIM110
        if type(item) not in _JSON_SCALARS and not _is_json(item, depth + 1):
            return False
    return True


def _lower(value: Any, depth: int, default: Default) -> Any:
    """The value in JSON's types, with tagged objects for all others."""
    if depth > MAX_DEPTH:
        raise RecursionError
    if value is None or isinstance(value, bool):
        return value

    def lower(item: Any) -> Any:
        return _lower(item, depth + 1, default)

    for kind, dump in _DUMP:
        if isinstance(value, kind):
            return dump(value, lower)
    fields = _fields(value)
    if fields is not None:
        return _tagged("record", [type(value).__name__, [[key, lower(item)] for key, item in fields.items()]])
    if default is not None:
        return _lower(default(value), depth + 1, None)
    raise CodecError(
        f"a value of type {type(value).__name__} cannot cross the sandbox's wall; "
        "pass str, numbers, bytes, dates, lists, dicts, sets or dataclasses of these"
    )


def _tagged(tag: str, body: Any) -> dict[str, Any]:
    return {"$": tag, "v": body}


def _dump_int(value: int, lower: Lower) -> Any:
    number = int(value)
    return number if number.bit_length() <= _EXACT_INT_BITS else _tagged("int", hex(number))


def _dump_record(value: Record, lower: Lower) -> Any:
    name = object.__getattribute__(value, "type_name")
    return _tagged("record", [name, [[key, lower(item)] for key, item in dict.items(value)]])


def _dump_dict(value: dict[Any, Any], lower: Lower) -> Any:
    if all(type(key) is str and key != "$" for key in value):
        return {key: lower(item) for key, item in value.items()}
    return _tagged("dict", [[lower(key), lower(item)] for key, item in value.items()])


def _dump_tuple(value: tuple[Any, ...], lower: Lower) -> Any:
    names = getattr(value, "_fields", None)
    items = [lower(item) for item in value]
    return _tagged("tuple", items) if names is None else _tagged("named", [type(value).__name__, [*names], items])


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


def _raise_object(found: dict[str, Any]) -> Any:
    """JSON's objects back to values: called for each, innermost first."""
    if "$" not in found:
        return found
    tag, body = found["$"], found.get("v")
    if not isinstance(tag, str) or tag not in _RAISE or len(found) != 2:
        raise CodecError("these bytes are no value (unknown type)")
    return _RAISE[tag](body)


@lru_cache(maxsize=256)
def _named_type(name: str, fields: tuple[str, ...]) -> type[tuple[Any, ...]]:
    return namedtuple(name, fields)  # type: ignore[return-value]


def _zone(value: dt.datetime) -> str | None:
    return getattr(value.tzinfo, "key", None)


def _raise_datetime(body: Any) -> dt.datetime:
    text, fold, zone = body
    value = dt.datetime.fromisoformat(text).replace(fold=fold)
    if isinstance(zone, str):
        import zoneinfo

        try:
            return value.replace(tzinfo=zoneinfo.ZoneInfo(zone))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            return value  # no time zone data on this side: the fixed offset stays
    return value


# In this order: the first kind that fits counts.
_DUMP: list[tuple[Any, Callable[[Any, Lower], Any]]] = [
    (Enum, lambda value, lower: lower(value.value)),
    (str, lambda value, _: str.__str__(value)),
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
    (Fraction, lambda value, _: _tagged("fraction", [hex(value.numerator), hex(value.denominator)])),
    (complex, lambda value, _: _tagged("complex", [value.real, value.imag])),
    (dt.datetime, lambda value, _: _tagged("datetime", [value.isoformat(), value.fold, _zone(value)])),
    (dt.date, lambda value, _: _tagged("date", value.isoformat())),
    (dt.time, lambda value, _: _tagged("time", [value.isoformat(), value.fold])),
    (dt.timedelta, lambda value, _: _tagged("timedelta", [value.days, value.seconds, value.microseconds])),
    (UUID, lambda value, _: _tagged("uuid", value.hex)),
    (PurePath, lambda value, _: _tagged("path", value.as_posix())),
    (range, lambda value, _: _tagged("range", [value.start, value.stop, value.step])),
    (SubcallError, lambda value, _: _tagged("subcall_error", [value.kind, value.message])),
]

_RAISE: dict[str, Callable[[Any], Any]] = {
    "int": lambda body: int(body, 16),
    "record": lambda body: Record(str(body[0]), dict(body[1])),
    "dict": dict,
    "tuple": tuple,
    "named": lambda body: _named_type(body[0], tuple(body[1]))(*body[2]),
    "set": set,
    "frozenset": frozenset,
    "bytes": lambda body: base64.b64decode(body, validate=True),
    "bytearray": lambda body: bytearray(base64.b64decode(body, validate=True)),
    "decimal": Decimal,
    "fraction": lambda body: Fraction(int(body[0], 16), int(body[1], 16)),
    "complex": lambda body: complex(body[0], body[1]),
    "datetime": _raise_datetime,
    "date": dt.date.fromisoformat,
    "time": lambda body: dt.time.fromisoformat(body[0]).replace(fold=body[1]),
    "timedelta": lambda body: dt.timedelta(days=body[0], seconds=body[1], microseconds=body[2]),
    "uuid": lambda body: UUID(hex=body),
    "path": PurePosixPath,
    "range": lambda body: range(*body),
    "subcall_error": lambda body: SubcallError(body[0], str(body[1])),
}
