"""Hypothesis strategies for types that a model may write, each with the values of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import itertools
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Optional, TypeAlias, TypedDict
from uuid import UUID

from hypothesis import strategies as st

Typed: TypeAlias = "tuple[Any, st.SearchStrategy[Any]]"
_optional: Any = Optional
_named_tuple: Any = NamedTuple
_typed_dict: Any = TypedDict
_numbers = itertools.count()


class Colour(enum.Enum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Rank(enum.IntEnum):
    LOW = 1
    HIGH = 2


_SCALARS: list[Typed] = [
    (str, st.text()),
    (int, st.integers() | st.integers(-(2**200), 2**200)),
    (float, st.floats(allow_nan=False)),
    (bool, st.booleans()),
    (dt.date, st.dates()),
    (dt.datetime, st.datetimes()),
    (dt.time, st.times()),
    (dt.timedelta, st.timedeltas()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (UUID, st.uuids()),
    (Colour, st.sampled_from(Colour)),
    (Rank, st.sampled_from(Rank)),
    (Literal["a", 1, True, None], st.sampled_from(["a", 1, True, None])),
    (Literal[Colour.RED, "x"], st.sampled_from([Colour.RED, "x"])),
]
_KEYS = _SCALARS[:2] + _SCALARS[4:6] + _SCALARS[10:12]
_scalars = st.sampled_from([*_SCALARS, (type(None), st.none())])
_FIELDS = ("name", "items", "json", "copy", "model_config", "_private", "from_")


def _record(kind: str, types: list[Typed]) -> Typed:
    """A class with these fields."""
    number = next(_numbers)
    names = _FIELDS if kind != "named" else ("name", "items", "json", "copy", "model_config", "private", "from_")
    fields = dict(zip(names, types, strict=False))
    annotations = [(name, annotation) for name, (annotation, _) in fields.items()]
    made: Any
    if kind == "named":
        made = _named_tuple(f"Named{number}", annotations)
    elif kind == "dict":
        made = _typed_dict(f"Dict{number}", dict(annotations))
    else:
        options: dict[str, Any] = {"kw": {"kw_only": True}, "slots": {"slots": True, "frozen": True}}.get(kind, {})
        made = dataclasses.make_dataclass(f"Data{number}", annotations, **options)
    return made, st.builds(made, **{name: values for name, (_, values) in fields.items()})


def _branches(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    kinds = st.sampled_from(["plain", "kw", "slots", "named", "dict"])
    return st.one_of(
        inner.map(lambda one: (list[one[0]], st.lists(one[1], max_size=3))),
        st.sampled_from(_KEYS).map(lambda one: (set[one[0]], st.sets(one[1], max_size=3))),
        st.sampled_from(_KEYS).map(lambda one: (frozenset[one[0]], st.frozensets(one[1], max_size=3))),
        inner.map(lambda one: (tuple[one[0], ...], st.lists(one[1], max_size=3).map(tuple))),
        st.tuples(inner, inner).map(lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))),
        st.tuples(st.sampled_from(_KEYS), inner).map(
            lambda two: (dict[two[0][0], two[1][0]], st.dictionaries(two[0][1], two[1][1], max_size=3))
        ),
        inner.map(lambda one: (_optional[one[0]], st.none() | one[1])),
        st.builds(_record, kinds, st.lists(inner, min_size=1, max_size=len(_FIELDS))),
    )


types = st.recursive(_scalars, _branches, max_leaves=8)
"""Pairs of a type and a strategy for its values."""
