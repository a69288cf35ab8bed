"""Which values and functions can be used ahead of the program: those that change nothing, ask nothing and stay small.

Judged by the exact type of a value at run time, for a subclass may do anything.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import json
import math
import operator
import re
import types
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from rlm_module.sandbox.record import Record


class Unforeseen(Exception):
    """What follows cannot be told before the program does it."""


class Failing(Unforeseen):
    """The program would raise here."""


class Unknown:
    """Stands for every value that only the program itself will know."""


UNKNOWN: Final = Unknown()

_LEAF_CHARS = 4096
_MOST_CHARS = 8 << 20
_MOST_BITS = 4096
_WIDE = re.compile(r"\d{6}|\*")

SCALARS: frozenset[Any] = frozenset((str, bytes, int, float, bool, complex, type(None)))
_MOMENTS: frozenset[Any] = frozenset((dt.date, dt.datetime, dt.time, dt.timedelta, decimal.Decimal, fractions.Fraction))
_LEAVES = SCALARS | _MOMENTS | {uuid.UUID, range, type(...)}
_VIEWS: frozenset[Any] = frozenset((type({}.keys()), type({}.values()), type({}.items())))
_SEQUENCES: frozenset[Any] = frozenset((list, tuple, set, frozenset))
_MAPPINGS: frozenset[Any] = frozenset((dict, Record))
MUTABLE: frozenset[Any] = frozenset((list, set, dict, Record))
ITERATED = _SEQUENCES | _MAPPINGS | _VIEWS | {str, bytes, range}
"""Types whose iteration changes nothing."""
ITERATORS: frozenset[Any] = frozenset(map(type, (enumerate(()), zip(), reversed([]), iter([]), re.finditer("", ""))))
"""Types of iterators that are used where the evaluator made them itself, never where it finds them."""
SUBSCRIPTED: frozenset[Any] = frozenset((str, bytes, list, tuple, dict, Record, range, re.Match))
KNOWN = _LEAVES | ITERATED | {re.Pattern, re.Match}
_HELD: frozenset[Any] = frozenset((types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type))

_READ_ONLY: dict[Any, frozenset[str]] = {
    str: frozenset(name for name in dir(str) if name[0] != "_" and name != "format_map"),
    bytes: frozenset(("decode", "split", "strip", "startswith", "endswith", "find", "count", "hex")),
    int: frozenset(("bit_length",)),
    float: frozenset(("is_integer", "hex")),
    list: frozenset(("index", "count", "copy")),
    tuple: frozenset(("index", "count")),
    set: frozenset(("union", "intersection", "difference", "issubset", "issuperset", "isdisjoint", "copy")),
    frozenset: frozenset(("union", "intersection", "difference", "issubset", "issuperset", "isdisjoint", "copy")),
    dict: frozenset(("get", "items", "keys", "values", "copy")),
    Record: frozenset(("get", "items", "keys", "values", "copy")),
    re.Pattern: frozenset(("search", "match", "fullmatch", "findall", "finditer", "sub", "subn", "split")),
    re.Match: frozenset(("group", "groups", "groupdict", "start", "end", "span")),
    **{kind: frozenset(("isoformat", "strftime", "date", "time", "weekday", "total_seconds")) for kind in _MOMENTS},
}

_LAZY: dict[Any, bool] = dict.fromkeys((enumerate, zip, reversed, range, len, isinstance), True)
_EAGER: tuple[Any, ...] = (
    *(str, repr, int, float, bytes, bool, min, max, sum, sorted, list, tuple, dict, set, frozenset),
    *(round, abs, any, all, ord, chr, divmod, hex, bin, oct, ascii, format),
    *(json.dumps, json.loads, re.compile, re.search, re.match, re.fullmatch, re.findall, re.finditer),
    *(re.sub, re.split, re.escape, math.ceil, math.floor, math.sqrt, math.log),
)
_FUNCTIONS = {**_LAZY, **dict.fromkeys(_EAGER, False)}

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "Div": operator.truediv, "Mod": operator.mod,
    "FloorDiv": operator.floordiv, "BitOr": operator.or_, "BitAnd": operator.and_, "BitXor": operator.xor,
    "Eq": operator.eq, "NotEq": operator.ne, "Lt": operator.lt, "LtE": operator.le, "Gt": operator.gt,
    "GtE": operator.ge, "Is": operator.is_, "IsNot": operator.is_not,
    "In": lambda item, items: item in items, "NotIn": lambda item, items: item not in items,
}  # fmt: skip


class Effort:
    """How much may still be evaluated ahead, in steps of about a microsecond or two.

    Args:
        left: Steps.
    """

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise Unforeseen

    def carry(self, characters: int) -> None:
        """Pays for text; what is huge is never made ahead."""
        if characters > _MOST_CHARS:
            raise Unforeseen
        self.spend(characters // _LEAF_CHARS)


def is_known(value: Any, spoiled: Mapping[int, Any], effort: Effort) -> bool:
    """Whether a value is plain data, whatever it holds, none of which may have changed by the time it is used."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is str:
            effort.carry(len(item))
        elif kind in _LEAVES:
            effort.spend(1)
        elif id(item) in spoiled:
            return False
        elif kind in _MAPPINGS or kind in _SEQUENCES or kind in _VIEWS:
            effort.spend(len(item) if kind in _VIEWS else 1 + kind.__len__(item))
            if kind in _MAPPINGS:
                waiting.extend(dict.keys(item))
                waiting.extend(dict.values(item))
            else:
                waiting.extend(item)
        else:
            return False
    return True


def is_held(value: Any) -> bool:
    """Whether a value can be named ahead: functions and modules, and types that compare by identity."""
    return type(value) in _HELD


def has_plain_field(value: Any, name: str) -> bool:
    """Whether reading an attribute runs no code: it lies in the instance, and nothing in its class comes before."""
    kind = type(value)
    if kind.__getattribute__ is not object.__getattribute__ or type(kind) is not type:
        return False
    fields = getattr(value, "__dict__", None)
    return type(fields) is dict and name in fields and not hasattr(getattr(kind, name, None), "__set__")


def is_reading(value: Any, method: str) -> bool:
    """Whether the method of a builtin type changes nothing."""
    if type(value) is Record and dict.__contains__(value, method):
        return False
    return method in _READ_ONLY.get(type(value), ())


def is_outside(value: Any, method: str) -> bool:
    """Whether a reading method does not look at all that the value holds."""
    return type(value) in (re.Pattern, re.Match) or method in ("get", "items", "keys", "values")


def is_pure(function: Any) -> bool:
    """Whether it is a function that may be called ahead."""
    return is_held(function) and function in _FUNCTIONS


def is_lazy(function: Any) -> bool:
    """Whether the function looks at no more than the outside of what it is given."""
    return _FUNCTIONS.get(function, False)


def may_look(function: Any, args: list[Any]) -> bool:
    """Whether a lazy function may be given these."""
    if function is isinstance:
        return len(args) == 2 and all(type(kind) is type for kind in (args[1] if type(args[1]) is tuple else args[1:]))
    return all(type(arg) in ITERATED or type(arg) in ITERATORS or type(arg) in SCALARS for arg in args)


def has_named_field(value: Any, name: str) -> bool:
    """Whether it is a named tuple with that field."""
    fields = getattr(type(value), "_fields", ()) if isinstance(value, tuple) else ()
    return name in fields and type(getattr(type(value), name, None)).__name__ == "_tuplegetter"


def guard_call(function: Any, receiver: Any, method: str, args: list[Any], effort: Effort) -> None:
    """Refuses calls that would make huge values of small ones, or read huge ranges."""
    for arg in args:
        if type(arg) is range and function not in _LAZY:
            effort.spend(len(arg))
        if type(arg) is str and method in ("sub", "replace"):
            effort.carry(len(arg) * 64)
    if type(receiver) is not str:
        return
    effort.carry(len(receiver))
    if method == "join" and args:
        effort.carry(len(receiver) * _length(args[0]))
    elif method == "replace" and len(args) >= 2 and type(args[1]) is str:
        effort.carry(len(args[1]) * (receiver.count(args[0]) if type(args[0]) is str and args[0] else len(receiver)))
    elif method in ("ljust", "rjust", "center", "zfill", "expandtabs", "translate"):
        effort.carry(sum(abs(arg) for arg in args if type(arg) is int) * max(1, len(receiver)))
    elif method == "format" and _WIDE.search(receiver):
        raise Unforeseen


def guard_operator(name: str, left: Any, right: Any, effort: Effort) -> None:
    """Refuses operators whose result would be huge."""
    if name == "Mult":
        bits = sum(side.bit_length() for side in (left, right) if type(side) is int)
        repeated = [side for side in (left, right) if type(side) in (str, bytes, list, tuple)]
        if repeated:
            times = next((side for side in (left, right) if type(side) is int), 0)
            effort.carry(len(repeated[0]) * max(0, times) * (1 if type(repeated[0]) is str else _LEAF_CHARS))
        elif bits > _MOST_BITS:
            raise Unforeseen
    elif name == "Mod" and type(left) in (str, bytes):
        if type(left) is bytes or _WIDE.search(left):
            raise Unforeseen
    else:
        effort.carry(_length(left) + _length(right))


def guard_format(spec: str) -> None:
    """Refuses to pad to a huge width."""
    if _WIDE.search(spec):
        raise Unforeseen


def paid(value: Any, effort: Effort) -> Any:
    """The value, its size paid for."""
    effort.spend(1)
    if type(value) in (str, bytes):
        effort.carry(len(value))
    elif type(value) in _SEQUENCES or type(value) in _MAPPINGS:
        effort.spend(len(value) // 8)
    return value


def _length(value: Any) -> int:
    return len(value) if type(value) in ITERATED else 0


def changed_objects(roots: Iterable[Any], most: int) -> dict[int, Any] | None:
    """All that can be changed through the roots, by id; None if it is more than `most`."""
    found: dict[int, Any] = {}
    waiting = list(roots)
    seen = 0
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind in _LEAVES or kind in _HELD or id(item) in found:
            continue
        found[id(item)] = item
        if kind in _MAPPINGS or kind in _SEQUENCES:
            seen += kind.__len__(item)
            if seen > most:
                return None
            waiting.extend(dict.values(item) if kind in _MAPPINGS else item)
        else:
            fields = getattr(item, "__dict__", None)
            waiting.extend(fields.values() if type(fields) is dict else ())
    return found
