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
import operator
import re
from collections import namedtuple
from collections.abc import Callable, Iterator, KeysView, Mapping, ValuesView
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
MAX_FRAME = 64 << 20
"""Longest encoded value that leaves the sandbox, in bytes."""

_CHUNK = 1 << 20
_EXACT_INT_BITS = 4096
_FRACTION_BITS = 16_384  # reducing one takes time with the square of its length
_NAMED_FIELDS = 1000
_EQUAL_HASHES = 1000
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_TEXT, _BYTES, _JSON, _TAGGED = b"T", b"B", b"J", b"X"
_JSON_SCALARS = frozenset((str, float, bool, type(None)))
Default: TypeAlias = "Callable[[Any], Any] | None"
Lower: TypeAlias = "Callable[[Any], Any]"
_to_json = json.JSONEncoder(check_circular=False).encode
_to_unicode_json = json.JSONEncoder(check_circular=False, ensure_ascii=False).encode


class CodecError(ValueError):
    """A value that cannot cross, or bytes that are no value."""


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
            text = _to_json(value)
            # In ASCII, two lone surrogates look like the one character that they would make.
            if "\\ud" not in text or not _SURROGATE_PAIR.search(_to_unicode_json(value)):
                return "J" + text
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
            return _raise_json(str(body, "utf-8", "surrogatepass"))
        if tag == _TAGGED:
            return _raise_json(str(body, "utf-8", "surrogatepass"), _raise_object)
    except CodecError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
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
    """The value in JSON's types, with tagged objects for all others; what has a `sandbox_value` crosses as that."""
    if depth > MAX_DEPTH:
        raise RecursionError
    if value is None or isinstance(value, bool):
        return value

    def lower(item: Any) -> Any:
        return _lower(item, depth + 1, default)

    for kind, dump in _DUMP:
        if isinstance(value, kind):
            return dump(value, lower)
    enter = getattr(type(value), "sandbox_value", None)
    if enter is not None:
        return _lower(enter(value), depth + 1, default)
    fields = _fields(value)
    if fields is not None:
        return _record(type(value).__name__, fields, getattr(type(value), "sandbox_repr_chars", 0), lower)
    if default is not None:
        return _lower(default(value), depth + 1, None)
    raise CodecError(
        f"a value of type {type(value).__name__} cannot cross the sandbox's wall; "
        "pass str, numbers, bytes, dates, lists, dicts, sets or dataclasses of these"
    )


def _tagged(tag: str, body: Any) -> dict[str, Any]:
    return {"$": tag, "v": body}


def _dump_text(value: str, lower: Lower) -> Any:
    text = str.__str__(value)
    if text.isascii() or not _SURROGATE_PAIR.search(text):
        return text
    return _tagged("text", base64.b64encode(text.encode("utf-8", "surrogatepass")).decode())


def _dump_int(value: int, lower: Lower) -> Any:
    number = int(value)
    return number if number.bit_length() <= _EXACT_INT_BITS else _tagged("int", hex(number))


def _dump_record(value: Record, lower: Lower) -> Any:
    name, limit = (object.__getattribute__(value, own) for own in ("type_name", "repr_chars"))
    return _record(lower(name), dict(dict.items(value)), limit, lower)


def _record(name: Any, fields: Mapping[str, Any], repr_chars: int, lower: Lower) -> Any:
    limit = [repr_chars] if repr_chars else []
    return _tagged("record", [name, [[lower(key), lower(item)] for key, item in fields.items()], *limit])


def _dump_dict(value: dict[Any, Any], lower: Lower) -> Any:
    if all(type(key) is str and key != "$" and (key.isascii() or not _SURROGATE_PAIR.search(key)) for key in value):
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


def _raise_json(text: str, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    value = json.loads(text, object_hook=object_hook)
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_too_deep(value):
        raise CodecError(f"these bytes are no value (nested deeper than {MAX_DEPTH} levels)")
    return value


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 2):
        level = [
            item
            for outer in level
            for item in (dict.values(outer) if isinstance(outer, dict) else outer)
            if isinstance(item, (dict, list, tuple, set, frozenset))
        ]
        if not level:
            return False
    return True


def _raise_object(found: dict[str, Any]) -> Any:
    """JSON's objects back to values: called for each, innermost first."""
    if "$" not in found:
        return found
    tag, body = found["$"], found.get("v")
    if not isinstance(tag, str) or tag not in _RAISE or len(found) != 2:
        raise CodecError("these bytes are no value (unknown type)")
    return _RAISE[tag](body)


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


_NAMED_TYPES = 256  # making one takes a millisecond, which hostile bytes must not cost thousands of times
_named_types: dict[tuple[str, tuple[str, ...]], Any] = {}


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
