"""Bytes that no honest sandbox would send are refused by the codec, at once."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module.sandbox.codec import CodecError, decode, encode
from tests.sandbox import values
from tests.sandbox.values import shape


def _untagged(tag: str, body: Any) -> Any:
    return decode(b"X" + json.dumps({"$": tag, "v": body}).encode())


_TAGS = [
    *("int", "record", "dict", "tuple", "named", "set", "frozenset", "bytes", "bytearray", "decimal", "fraction"),
    *("complex", "datetime", "date", "time", "timedelta", "uuid", "path", "range", "subcall_error", "text", "other"),
]
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["0x1f", "2024-01-01", "YQ=="]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["$", "v", "a"]), inner),
        st.fixed_dictionaries({"$": st.sampled_from(_TAGS), "v": inner}),
    ),
    max_leaves=15,
)


@pytest.mark.parametrize("zone", ["", ".", "America", "../../etc/passwd", "No/Where", "a" * 5000, "a\0b", "\ud800"])
def test_a_zone_that_is_not_known_leaves_the_offset(zone: str) -> None:
    aware = dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert _untagged("datetime", [aware.isoformat(), 0, zone]) == aware


@given(st.binary() | st.builds(bytes.__add__, st.sampled_from([b"T", b"B", b"J", b"X"]), st.binary()))
def test_arbitrary_bytes_are_a_value_or_refused(data: bytes) -> None:
    assert _is_refused_or_whole(data)


@settings(max_examples=600)
@given(_json)
def test_arbitrary_tagged_json_is_a_value_or_refused(body: Any) -> None:
    assert _is_refused_or_whole(b"X" + json.dumps(body).encode())


@given(values.values, st.data())
def test_damaged_bytes_are_a_value_or_refused(value: Any, data: st.DataObject) -> None:
    damaged = bytearray(encode(value))
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    assert _is_refused_or_whole(bytes(damaged))


def _is_refused_or_whole(data: bytes) -> bool:
    try:
        value = decode(data)
    except CodecError:
        return True
    return shape(decode(encode(value))) == shape(value)


_COLLIDING = [i * (2**61 - 1) for i in range(1, 50_000)]
_BOMBS: dict[str, bytes] = {
    "nothing at all": b"",
    "a tag alone": b"J",
    "endless brackets": b"J" + b"[" * 1_000_000,
    "deep lists": b"J" + b"[" * 500 + b"]" * 500,
    "deep tuples": b"X" + b'{"$":"tuple","v":[' * 400 + b"]}" * 400,
    "deep objects": b"J" + b'{"a":' * 500 + b"1" + b"}" * 500,
    "an integer of a million digits": b"J" + b"9" * 1_000_000,
    "keys that collide": b"X" + json.dumps({"$": "set", "v": _COLLIDING}).encode(),
    "pairs that collide": b"X" + json.dumps({"$": "dict", "v": [[i, 0] for i in _COLLIDING]}).encode(),
    "a fraction that takes an hour to reduce": b"X"
    + json.dumps({"$": "fraction", "v": ["f" * 10**7, "7" * 10**7]}).encode(),
    "a named tuple of a million fields": b"X"
    + json.dumps({"$": "named", "v": ["N", [f"f{i}" for i in range(10**6)], [0] * 10**6]}).encode(),
    "an empty body for each tag": b"X" + json.dumps([{"$": "record", "v": []}]).encode(),
    "an unknown tag": b'X{"$":"pickle","v":"gASVAA=="}',
    "a tag that is no text": b'X{"$":["set"],"v":[]}',
    "a third field": b'X{"$":"set","v":[],"w":1}',
    "invalid UTF-8": b"T\xff\xfe",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("data", _BOMBS.values(), ids=_BOMBS.keys())
def test_pitfall_37_bytes_made_to_hurt_are_refused_at_once(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(data)
