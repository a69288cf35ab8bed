"""Hypothesis strategies for every kind of value that crosses, and a comparison that sees all that must stay."""

from __future__ import annotations

import datetime as dt
from collections import namedtuple
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, cast

from hypothesis import strategies as st

from rlm_module.errors import SubcallError
from rlm_module.sandbox.record import Record

_offsets = st.integers(-1439, 1439).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
texts = st.text(st.characters()) | st.text(st.sampled_from("a$\ud83d\ude00\x00\u2028"))
_integers = st.integers() | st.integers(-(2**5000), 2**5000)
_decimals = st.decimals() | st.sampled_from([Decimal("1.10"), Decimal("-0"), Decimal("-Infinity"), Decimal("1e+99")])
fixed_times = st.datetimes(timezones=st.none() | _offsets) | st.datetimes().map(lambda moment: moment.replace(fold=1))

hashables: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    _integers,
    st.floats(),
    st.complex_numbers(),
    texts,
    st.binary(),
    _decimals.filter(lambda number: not number.is_snan()),
    st.fractions(),
    fixed_times,
    st.dates(),
    st.times(timezones=st.none() | _offsets),
    st.timedeltas(),
    st.uuids(),
    st.builds(range, st.integers(), st.integers(), st.integers(1)),
    st.lists(st.text("ab."), max_size=3).map(lambda parts: PurePosixPath(*parts)),
    st.tuples(st.integers(), texts),
    st.frozensets(st.integers()),
)
_scalars: st.SearchStrategy[Any] = st.one_of(
    hashables,
    st.binary().map(bytearray),
    st.just(Decimal("sNaN12")),
    st.builds(SubcallError, st.sampled_from(["lm", "timeout", "budget"]), texts),
)
_names = st.lists(st.sampled_from(["x", "y", "count", "items"]), unique=True, min_size=1)


def _named(fields: list[str], value: Any) -> Any:
    return namedtuple("Point", fields)(*([value] * len(fields)))  # pyright: ignore[reportUntypedNamedTuple]


def _branches(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(values),
        st.lists(values).map(tuple),
        st.dictionaries(texts, values),
        st.dictionaries(hashables, values),
        st.sets(hashables),
        st.frozensets(hashables),
        st.builds(Record, st.sampled_from(["Doc", "Row"]), st.dictionaries(texts, values)),
        st.builds(_named, _names, values),
    )


values = st.recursive(_scalars, _branches, max_leaves=12)


def shape(value: Any) -> Any:
    """A value as something that is equal only where type and value are: NaN is itself, 0.0 is not -0.0 nor 0."""
    kind = type(value).__name__
    if isinstance(value, Record):
        return kind, value.type_name, [(shape(key), shape(item)) for key, item in dict.items(value)]
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        return kind, [(shape(key), shape(item)) for key, item in pairs]
    if isinstance(value, (set, frozenset)):
        return kind, sorted(repr(shape(item)) for item in cast("set[Any]", value))
    if isinstance(value, (list, tuple)):
        fields = getattr(value, "_fields", None)
        return kind, fields, [shape(item) for item in cast("list[Any]", value)]
    if isinstance(value, dt.datetime):
        return kind, value.isoformat(), value.fold, getattr(value.tzinfo, "key", None)
    if isinstance(value, dt.time):
        return kind, value.isoformat(), value.fold
    if isinstance(value, int):
        return kind, hex(value)
    if isinstance(value, Fraction):
        return kind, hex(value.numerator), hex(value.denominator)
    return kind, repr(value)
