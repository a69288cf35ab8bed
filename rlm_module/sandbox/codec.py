"""The values that cross between host and sandbox, as bytes. Both sides run this file, so it knows only Python.

A value is a tag byte and a body: text and bytes travel raw, what JSON holds exactly travels as JSON, and the rest as
JSON in which an object with the key `$` stands for a type that JSON lacks. Integers stay exact at any size, floats
keep NaN, infinities and the sign of zero, text keeps lone surrogates, and dicts keep their order and key types.
Nothing is ever executed or unpickled, so hostile bytes can at worst be refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from rlm_module.sandbox.tagged import EXACT_INT_BITS, SURROGATE_PAIR, Default, lowered, raise_object
from rlm_module.sandbox.tagged import MAX_DEPTH as MAX_DEPTH
from rlm_module.sandbox.tagged import CodecError as CodecError

MAX_FRAME = 64 << 20
"""Longest encoded value that leaves the sandbox, in bytes."""

_CHUNK = 1 << 20
_TEXT, _BYTES, _JSON, _TAGGED = b"T", b"B", b"J", b"X"
_JSON_SCALARS = frozenset((str, float, bool, type(None)))
_to_json = json.JSONEncoder(check_circular=False).encode
_to_unicode_json = json.JSONEncoder(check_circular=False, ensure_ascii=False).encode


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
            if "\\ud" not in text or not SURROGATE_PAIR.search(_to_unicode_json(value)):
                return "J" + text
        return "X" + _to_json(lowered(value, 0, default))
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
            return _raise_json(str(body, "utf-8", "surrogatepass"), raise_object)
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
        return bool(value.bit_length() <= EXACT_INT_BITS)
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
