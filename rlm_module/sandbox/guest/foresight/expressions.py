"""Expressions of plain Python, evaluated ahead of the program on variables of their own (`scope.py`).

What cannot be told is UNKNOWN, and so is all that follows from it.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from rlm_module.sandbox.guest.foresight import purity
from rlm_module.sandbox.guest.foresight.effects import Comprehension, facts_of, results_of
from rlm_module.sandbox.guest.foresight.purity import UNKNOWN, Failing, Unforeseen, Unknown
from rlm_module.sandbox.guest.foresight.scope import (
    Enough,
    Leave,
    Uncertain,
    Variables,
    has_unknown,
    makes_host_functions,
    names_in,
)
from rlm_module.sandbox.guest.host_function import HostFunction
from rlm_module.sandbox.record import Record

_SIGNS: dict[str, Callable[[Any], Any]] = {"USub": operator.neg, "UAdd": operator.pos, "Invert": operator.invert}


class Expressions(Variables):
    """Expressions of a simulation, and what they are assigned to; calls are not among them (see `Foresight`)."""

    def _value(self, node: ast.expr) -> Any:
        self._effort.spend(1)
        evaluate = getattr(self, "_eval_" + type(node).__name__, None)
        if evaluate is None:
            self.partial = True
            return UNKNOWN
        try:
            return evaluate(node)
        except (Unforeseen, Uncertain, Enough, Leave, RecursionError):
            raise
        except Exception:  # so would the program
            raise Failing from None

    def _values(self, nodes: Iterable[ast.expr]) -> list[Any] | None:
        """The values in order, None if one is unknown; all are evaluated for the calls in them."""
        values: list[Any] = []
        known = True
        for node in nodes:
            starred = isinstance(node, ast.Starred)
            value = self._value(node.value if isinstance(node, ast.Starred) else node)
            if value is UNKNOWN:
                known = False
            elif starred:
                values.extend(map(self._admit, self._items(value)))
            else:
                values.append(value)
        return values if known and not any(value is UNKNOWN for value in values) else None

    def _known(self, *values: Any) -> bool:
        return all(purity.is_known(value, self._scope.spoiled, self._effort) for value in values)

    def _truth(self, value: Any) -> Any:
        if type(value) in purity.KNOWN:
            return bool(value)
        return True if purity.is_held(value) else UNKNOWN

    def _operate(self, name: str, left: Any, right: Any) -> Any:
        if left is UNKNOWN or right is UNKNOWN or name not in purity.OPERATORS:
            return UNKNOWN
        if name not in ("Is", "IsNot"):
            keyed = name in ("In", "NotIn") and type(right) in (dict, set, frozenset, range)
            if not self._known(left) or not (keyed or self._known(right)):
                return UNKNOWN
            purity.guard_operator(name, left, right, self._effort)
        return purity.paid(purity.OPERATORS[name](left, right), self._effort)

    def _leave_out(self, nodes: tuple[ast.AST, ...]) -> None:
        """Notes that what is not followed may make calls."""
        self.partial = self.partial or bool(facts_of(nodes).passed)

    def _eval_Constant(self, node: ast.Constant) -> Any:
        return node.value

    def _eval_Name(self, node: ast.Name) -> Any:
        return self._lookup(node.id)

    def _eval_NamedExpr(self, node: ast.NamedExpr) -> Any:
        value = self._value(node.value)
        self._bind(node.target, value)
        return value

    def _eval_Tuple(self, node: ast.Tuple) -> Any:
        values = self._values(node.elts)
        return UNKNOWN if values is None else tuple(values)

    def _eval_List(self, node: ast.List) -> Any:
        values = self._values(node.elts)
        return UNKNOWN if values is None else values

    def _eval_Set(self, node: ast.Set) -> Any:
        values = self._values(node.elts)
        return set(values) if values is not None and self._known(values) else UNKNOWN

    def _eval_Dict(self, node: ast.Dict) -> Any:
        made: dict[Any, Any] | Unknown = {}
        for key, item in zip(node.keys, node.values, strict=True):
            name = UNKNOWN if key is None else self._value(key)
            value = self._value(item)
            if value is UNKNOWN or not self._known(name) or isinstance(made, Unknown):
                made = UNKNOWN
            else:
                made[name] = value
        return made

    def _eval_JoinedStr(self, node: ast.JoinedStr) -> Any:
        parts = [self._value(part) for part in node.values]
        return UNKNOWN if has_unknown(parts) else purity.paid("".join(parts), self._effort)

    def _eval_FormattedValue(self, node: ast.FormattedValue) -> Any:
        value = self._value(node.value)
        spec = "" if node.format_spec is None else self._value(node.format_spec)
        if spec is UNKNOWN or not self._known(value):
            return UNKNOWN
        purity.guard_format(spec)
        shown = {-1: lambda it: it, 115: str, 114: repr, 97: ascii}[node.conversion](value)
        return format(shown, spec)

    def _eval_BinOp(self, node: ast.BinOp) -> Any:
        return self._operate(type(node.op).__name__, self._value(node.left), self._value(node.right))

    def _eval_UnaryOp(self, node: ast.UnaryOp) -> Any:
        value = self._value(node.operand)
        if isinstance(node.op, ast.Not):
            truth = self._truth(value)
            return UNKNOWN if truth is UNKNOWN else not truth
        if type(value) not in (int, float, bool):
            return UNKNOWN
        return _SIGNS[type(node.op).__name__](value)

    def _eval_BoolOp(self, node: ast.BoolOp) -> Any:
        value: Any = UNKNOWN
        for part in node.values:
            value = self._value(part)
            truth = self._truth(value)
            if truth is UNKNOWN:
                self._leave_out(tuple(node.values))
                return UNKNOWN
            if truth is isinstance(node.op, ast.Or):
                return value
        return value

    def _eval_Compare(self, node: ast.Compare) -> Any:
        left: Any = self._value(node.left)
        result: Any = True
        for op, part in zip(node.ops, node.comparators, strict=True):
            right = self._value(part)
            result = self._operate(type(op).__name__, left, right)
            if result is UNKNOWN or not result:
                return result
            left = right
        return result

    def _eval_IfExp(self, node: ast.IfExp) -> Any:
        truth = self._truth(self._value(node.test))
        if truth is UNKNOWN:
            self._leave_out((node.body, node.orelse))
            return UNKNOWN
        return self._value(node.body if truth else node.orelse)

    def _eval_Subscript(self, node: ast.Subscript) -> Any:
        value, at = self._value(node.value), self._value(node.slice)
        if type(value) not in purity.SUBSCRIPTED or not (isinstance(at, slice) or self._known(at)):
            return UNKNOWN
        if isinstance(at, slice):
            self._effort.carry(len(range(len(value))[at]) if type(value) in (str, bytes) else 0)
            self._effort.spend(0 if type(value) in (str, bytes, range) else len(range(len(value))[at]) // 8)
        return self._admit(value[at])

    def _eval_Slice(self, node: ast.Slice) -> Any:
        parts = [None if part is None else self._value(part) for part in (node.lower, node.upper, node.step)]
        return slice(*parts) if all(part is None or type(part) in (int, bool) for part in parts) else UNKNOWN

    def _eval_Attribute(self, node: ast.Attribute) -> Any:
        value = self._value(node.value)
        if type(value) is Record and dict.__contains__(value, node.attr):
            return self._admit(dict.__getitem__(value, node.attr))
        if type(value) is ModuleType:
            found = value.__dict__.get(node.attr, UNKNOWN)
            is_host = isinstance(found, HostFunction) or makes_host_functions(found)
            return found if is_host or purity.is_pure(found) else UNKNOWN
        if purity.has_named_field(value, node.attr) or purity.has_plain_field(value, node.attr):
            return self._admit(getattr(value, node.attr))
        return UNKNOWN

    def _eval_Yield(self, node: ast.Yield) -> Any:
        self._frame.yielded.append(None if node.value is None else self._value(node.value))
        return UNKNOWN

    def _eval_YieldFrom(self, node: ast.YieldFrom) -> Any:
        self._frame.yielded.extend(self._items(self._value(node.value)))
        return UNKNOWN

    def _eval_ListComp(self, node: ast.ListComp) -> Any:
        return self._comprehension(node, list)

    def _eval_SetComp(self, node: ast.SetComp) -> Any:
        return self._comprehension(node, set)

    def _eval_DictComp(self, node: ast.DictComp) -> Any:
        return self._comprehension(node, dict)

    def _comprehension(self, node: Comprehension, make: Callable[[list[Any]], Any]) -> Any:
        results: list[Any] = []
        targets = {name for part in node.generators for name in names_in(part.target)}
        hidden = {name: value for name, value in self._frame.names.items() if name in targets}
        try:
            complete = all([*self._elements(node, 0, results, begin=True)])
        finally:
            for name in targets:
                self._frame.names.pop(name, None)
            self._frame.names.update(hidden)
        if not complete or has_unknown(results) or (make is not list and not self._known(results)):
            return UNKNOWN
        return make(results)

    def _elements(self, node: Comprehension, level: int, results: list[Any], begin: bool = False) -> Iterator[bool]:
        """Evaluates from the `for` at a level on, its own items too with `begin`; False for what is not followed."""
        part = node.generators[level]
        if begin:
            items = self._value(part.iter)
            if items is UNKNOWN or part.is_async:
                self._leave_out((*part.ifs, *node.generators[level + 1 :], *results_of(node)))
                yield False
                return
            for item in self._items(items):
                self._bind(part.target, self._admit(item))
                yield from self._elements(node, level, results)
            return
        for test in part.ifs:
            truth = self._truth(self._value(test))
            if truth is UNKNOWN:
                self._leave_out((*part.ifs, *node.generators[level + 1 :], *results_of(node)))
                yield False
                return
            if not truth:
                return
        if level + 1 < len(node.generators):
            yield from self._elements(node, level + 1, results, begin=True)
            return
        if isinstance(node, ast.DictComp):
            pair = self._values([node.key, node.value])
            results.append(UNKNOWN if pair is None else tuple(pair))
        else:
            results.append(self._value(node.elt))
        yield True

    # What values are assigned to.

    def _bind(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Name(id=name):
                self._frame.names[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                self._unpack(parts, value)
            case ast.Starred(value=inner):
                self._bind(inner, value)
            case ast.Subscript() | ast.Attribute():
                self._spoil(self._value(target.value))
                if isinstance(target, ast.Subscript):
                    self._value(target.slice)
            case _:
                raise Unforeseen

    def _unpack(self, parts: list[ast.expr], value: Any) -> None:
        if value is UNKNOWN:
            for part in parts:
                self._bind(part, UNKNOWN)
            return
        items = [self._admit(item) for item in self._items(value)]
        star = next((at for at, part in enumerate(parts) if isinstance(part, ast.Starred)), None)
        if star is not None:
            end = len(items) - (len(parts) - star - 1)
            items = [*items[:star], items[star:end], *items[end:]]
        if len(items) != len(parts):
            raise Failing
        for part, item in zip(parts, items, strict=True):
            self._bind(part, item)
