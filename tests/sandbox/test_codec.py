"""Values that cross between host and sandbox stay exactly what they are."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import enum
import pickle
from collections import OrderedDict, namedtuple
from fractions import Fraction
from pathlib import PureWindowsPath
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module.sandbox.codec import (
    MAX_DEPTH,
    CodecError,
    decode,
    encode,
    encode_as_text,
    encode_chunks,
)
from rlm_module.sandbox.record import Record, plain
from tests.sandbox import values
from tests.sandbox.values import shape


@settings(max_examples=400)
@given(values.values)
def test_every_value_comes_back_with_its_type(value: Any) -> None:
    assert shape(decode(encode(value))) == shape(value)


@given(values.values)
def test_the_three_forms_say_the_same(value: Any) -> None:
    text = encode_as_text(value)
    assert text.isascii()
    assert shape(decode(text.encode())) == shape(value)
    length, chunks = encode_chunks(value)
    whole = b"".join(chunks)
    assert len(whole) == length
    assert whole == encode(value)


@pytest.mark.parametrize(
    "value",
    [
        ["\ud800\udc00"],
        {"\ud83d\ude00": 1},
        {"\ud83d\ude00": {1}},
        Record("\ud83d\ude00", {"\ud83d\ude00": "\U0001f600"}),
        ["\U0001f600", "\ud83d\ude00", "\ude00\ud83d", "\\ud83d"],
    ],
)
def test_two_surrogates_do_not_become_the_character_they_could_stand_for(value: Any) -> None:
    assert shape(decode(encode(value))) == shape(value)


@settings(max_examples=5)
@given(values.texts)
def test_text_beyond_one_piece_stays_whole(text: str) -> None:
    long = text.ljust(8, "é") * (1 << 18)
    length, chunks = encode_chunks(long)
    pieces = list(chunks)
    assert sum(map(len, pieces)) == length
    assert decode(b"".join(pieces)) == long


@given(st.datetimes(timezones=st.timezones()))
def test_a_named_time_zone_stays(moment: dt.datetime) -> None:
    back = decode(encode(moment))
    assert (back.tzinfo, back.fold, back.isoformat()) == (moment.tzinfo, moment.fold, moment.isoformat())


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Loud(str):
    pass


Legacy = namedtuple("Legacy", ["class", "_x", "ok"], rename=True)  # pyright: ignore[reportUntypedNamedTuple]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Loud("hey"), "hey"),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (MappingProxyType({"a": 1}), Record("mappingproxy", {"a": 1})),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        (memoryview(b"ab"), b"ab"),
        (PureWindowsPath("a\\b"), PureWindowsPath("a/b")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_relative_of_a_type_arrives_as_that_type(value: Any, expected: Any) -> None:
    back = decode(encode([value]))[0]
    assert back == expected or str(back) == expected.as_posix()


def test_a_named_tuple_with_fields_that_are_no_names_arrives() -> None:
    back = decode(encode(Legacy(1, 2, ok=3)))
    assert (back, back._fields) == ((1, 2, 3), ("_0", "_1", "ok"))
    odd = type("not a name", (Legacy,), {})(1, 2, 3)
    assert tuple(decode(encode(odd))) == (1, 2, 3)


class Address(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    city: str
    items: tuple[int, ...] = ()


@dataclasses.dataclass
class Person:
    name: str
    home: Address


class Pair(NamedTuple):
    left: Any
    right: Any


def test_pitfall_10_models_and_dataclasses_read_by_attribute_and_by_key() -> None:
    person = Person("Ada", Address(city="London", items=(1, 2), floor=4))  # type: ignore[call-arg]
    back = decode(encode(Pair(person, {"at": person})))
    ada = back.right["at"]
    assert isinstance(ada, Record)
    assert (ada.name, ada["name"], ada.home.city, ada["home"]["floor"]) == ("Ada", "Ada", "London", 4)
    assert ada.home.items == (1, 2), "a field wins over the dict method of its name"
    assert repr(ada) == "Person(name='Ada', home=Address(city='London', items=(1, 2), floor=4))"
    ada.name = "Grace"
    assert decode(encode(ada))["name"] == "Grace"
    assert plain(ada) == {"name": "Grace", "home": {"city": "London", "items": (1, 2), "floor": 4}}
    assert type(plain(ada)["home"]) is dict


@dataclasses.dataclass
class Letter:
    sandbox_repr_chars: ClassVar[int] = 40
    text: str


def test_a_class_may_say_how_little_of_it_is_printed() -> None:
    letter = decode(encode([Letter("x" * 10_000)]))[0]
    assert repr(letter) == f"Letter(text='{'x' * 23}...)"
    assert len(repr(letter)) == 40
    assert len(letter.text) == 10_000
    for copied in (decode(encode(letter)), copy.deepcopy(letter), pickle.loads(pickle.dumps(letter))):
        assert (repr(copied), copied) == (repr(letter), letter)
    assert repr(decode(encode(Letter("hi")))) == "Letter(text='hi')"


@pytest.mark.parametrize("limit", ["[]", '"x"', "null", "[1]"])
def test_a_limit_that_is_no_number_is_refused(limit: str) -> None:
    with pytest.raises(CodecError):
        decode(b'X{"$": "record", "v": ["Letter", [["text", "hi"]], ' + limit.encode() + b"]}")


def test_what_cannot_cross_is_named() -> None:
    with pytest.raises(CodecError, match="type object cannot cross"):
        encode([object()])
    with pytest.raises(CodecError, match="type type cannot cross"):
        encode(Person)
    assert decode(encode([object()], lambda found: type(found).__name__)) == ["object"]
    with pytest.raises(CodecError, match="type object cannot cross"):
        encode(object(), lambda found: found)
    with pytest.raises(CodecError, match="numerator"):
        encode(Fraction(1, 3**11_000))


@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: {"a": v}, lambda v: {1: v}, lambda v: (v,), lambda v: Pair(v, 1)]
)
def test_nesting_has_one_bound_for_every_kind(wrap: Any) -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = wrap(value)
    assert shape(decode(encode(value))) == shape(value)
    with pytest.raises(CodecError, match="nested too deeply"):
        encode(wrap(wrap(value)))


def test_a_value_that_contains_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append({"again": (circle,)})
    with pytest.raises(CodecError, match="contains itself"):
        encode(circle)
    with pytest.raises(CodecError, match="contains itself"):
        encode(circle, lambda found: found)
