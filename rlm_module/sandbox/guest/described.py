"""Types as plain descriptions that may leave the sandbox, and plain values as instances of those types again."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections import abc
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

from rlm_module.sandbox.guest.classes import make, members
from rlm_module.sandbox.guest.shapes import (
    Misfit,
    Shape,
    check_name,
    enumeration,
    field_spec,
    literal,
    own_doc,
    restore_any,
    restore_none,
    restore_scalar,
    shortened,
    shown,
)
from rlm_module.sandbox.record import Record
from rlm_module.sandbox.type_limits import KEY_KINDS, MAX_DEPTH, MAX_FIELDS, MAX_NAME, MAX_RECORDS, SCALARS

_SCALAR_KINDS = {kind: name for name, kind in SCALARS.items()}
_LISTS: tuple[Any, ...] = (list, abc.Sequence, abc.MutableSequence, abc.Iterable, abc.Collection)
_SETS: dict[Any, str] = {set: "set", abc.Set: "set", abc.MutableSet: "set", frozenset: "frozenset"}
_MAPPINGS: tuple[Any, ...] = (dict, abc.Mapping, abc.MutableMapping)
_WRAPPERS = {"Required", "NotRequired", "ReadOnly", "Final"}
_MAX_WRAPPERS = 20


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    name: str
    shape: Shape
    required: bool


class Types:
    """Describes types. Records stand in a table, to which descriptions refer by number, so that they may recur.

    Args:
        scope: What names in annotations that are text stand for.
    """

    def __init__(self, scope: dict[str, Any]) -> None:
        self.records: list[dict[str, Any]] = []
        self._scope = scope
        self._numbers: dict[type, int] = {}
        self._fields: list[list[_Field]] = []
        self._waiting: list[type] = []

    def of(self, annotation: Any) -> Shape:
        """The shape of a type; the records it leads to are in the table afterwards.

        Raises:
            ValueError, TypeError: If it cannot be described; the text goes on after the field's name.
        """
        shape = self._shape(annotation, 0)
        while self._waiting:  # a loop, for a long chain of classes would be too deep for recursion
            self._describe(self._waiting.pop(0))
        return shape

    def evaluate(self, text: str) -> Any:
        """The type, or default, that an expression stands for."""
        try:
            return eval(text, self._scope)
        except NameError as error:
            raise ValueError(
                f"there is no type `{error.name}`; define it first, or use a builtin such as list[str]"
            ) from None
        except Exception as error:
            raise ValueError(f"`{text}` is no type ({error}); write one such as list[str]") from None

    def _shape(self, annotation: Any, depth: int) -> Shape:
        if depth > MAX_DEPTH:
            raise ValueError(f"the type is nested deeper than {MAX_DEPTH} levels; give its inner part a class")
        kind, desc = self._unwrapped(annotation)
        found = self._bare(kind, depth)
        return Shape({**found.spec, "desc": desc}, found.restore) if desc else found

    def _unwrapped(self, annotation: Any) -> tuple[Any, str]:
        """The type itself, and the description that came with it."""
        kind, desc = annotation, ""
        for _ in range(_MAX_WRAPPERS):
            if isinstance(kind, (str, ForwardRef)):
                kind = self.evaluate(kind if isinstance(kind, str) else kind.__forward_arg__)
            elif get_origin(kind) is Annotated:
                texts = (text for text in kind.__metadata__ if isinstance(text, str))
                desc, kind = desc or next(texts, ""), kind.__origin__
            elif getattr(get_origin(kind), "_name", None) in _WRAPPERS:
                kind = get_args(kind)[0]
            elif type(kind).__name__ == "TypeAliasType":
                kind = kind.__value__
            elif hasattr(kind, "__supertype__"):
                kind = kind.__supertype__
            else:
                return kind, shortened(desc)
        raise ValueError("the type is an alias of itself; name what it stands for")

    def _bare(self, kind: Any, depth: int) -> Shape:
        origin = get_origin(kind)
        if kind is None or kind is type(None):
            return Shape({"kind": "none"}, restore_none)
        if kind is Any or kind is object or isinstance(kind, TypeVar):
            return Shape({"kind": "any"}, restore_any)
        if origin is Literal:
            return literal(get_args(kind))
        if origin in (Union, types.UnionType):
            return self._union(get_args(kind), depth)
        holder = origin or kind
        if isinstance(holder, type):
            if holder in _LISTS or holder in _SETS:
                return self._items(holder, get_args(kind), depth)
            if holder is tuple:
                return self._tuple(kind, get_args(kind), depth)
            if holder in _MAPPINGS:
                return self._dict(get_args(kind), depth)
        if origin is not None:
            raise TypeError(f"`{shown(kind)}` cannot be described; define a class of its own that says what it holds")
        if not isinstance(kind, type):
            raise TypeError(f"{shown(kind)} is no type; write one such as str, list[str], Literal['a', 'b'] or a class")
        return self._class(kind)

    def _class(self, kind: type) -> Shape:
        if kind in _SCALAR_KINDS:
            return Shape({"kind": _SCALAR_KINDS[kind]}, restore_scalar(kind))
        if issubclass(kind, Enum):
            return enumeration(kind)
        if kind in (bytes, bytearray, memoryview):
            raise TypeError("an LM reads and writes no bytes; use str")
        number = self._number(kind)
        return Shape({"kind": "ref", "to": number}, self._restore_record(kind, number))

    def _union(self, arguments: tuple[Any, ...], depth: int) -> Shape:
        shapes = [self._shape(argument, depth + 1) for argument in arguments]
        # An alias or Annotated may have hidden a union in a union.
        specs = [
            spec
            for shape in shapes
            for spec in shape.spec.get("of" if shape.spec["kind"] == "union" else "", [shape.spec])
        ]
        if len(specs) > MAX_FIELDS:
            raise ValueError(f"a union has at most {MAX_FIELDS} types; use fewer")
        # What names its values goes before text that would take them all.
        ranked = sorted(shapes, key=lambda shape: shape.spec["kind"] not in ("enum", "literal"))

        def restore(value: Any) -> Any:
            for shape in ranked:
                try:
                    return shape.restore(value)
                except Misfit:
                    pass
            raise Misfit(f"{shown(value)} is of none of the types")

        return Shape({"kind": "union", "of": specs}, restore)

    def _items(self, holder: Any, arguments: tuple[Any, ...], depth: int) -> Shape:
        item = self._shape(arguments[0] if arguments else Any, depth + 1)
        make: Any = frozenset if holder is frozenset else set if holder in _SETS else list

        def restore(value: Any) -> Any:
            if not isinstance(value, (list, tuple, set, frozenset)):
                raise Misfit(f"{shown(value)} is no list")
            found = [item.restore(one) for one in value]
            try:
                return make(found)
            except TypeError as error:
                raise ValueError(f"a set cannot hold these ({error}); use a list, or a frozen dataclass") from None

        return Shape({"kind": _SETS.get(holder, "list"), "of": item.spec}, restore)

    def _tuple(self, kind: Any, arguments: tuple[Any, ...], depth: int) -> Shape:
        if kind is tuple or kind is typing.Tuple or arguments[1:] == (...,):  # noqa: UP006
            each = self._shape(arguments[0] if arguments else Any, depth + 1)

            def restore_each(value: Any) -> Any:
                if not isinstance(value, (list, tuple)):
                    raise Misfit(f"{shown(value)} is no tuple")
                return tuple(each.restore(one) for one in value)

            return Shape({"kind": "tuple_of", "of": each.spec}, restore_each)
        parts = [self._shape(argument, depth + 1) for argument in arguments]
        if len(parts) > MAX_FIELDS:
            raise ValueError(f"a tuple has at most {MAX_FIELDS} types; use tuple[X, ...]")

        def restore(value: Any) -> Any:
            if not isinstance(value, (list, tuple)) or len(value) != len(parts):
                raise Misfit(f"{shown(value)} is no tuple of {len(parts)}")
            return tuple(part.restore(one) for part, one in zip(parts, value, strict=True))

        return Shape({"kind": "tuple", "items": [part.spec for part in parts]}, restore)

    def _dict(self, arguments: tuple[Any, ...], depth: int) -> Shape:
        key, item = (self._shape(argument, depth + 1) for argument in arguments or (str, Any))
        if key.spec["kind"] not in KEY_KINDS:
            raise TypeError("keys of a dict must be text, numbers, dates, literals or enums; use a list of records")

        def restore(value: Any) -> Any:
            if not isinstance(value, dict):
                raise Misfit(f"{shown(value)} is no dict")
            return {key.restore(name): item.restore(one) for name, one in dict.items(value)}

        return Shape({"kind": "dict", "keys": key.spec, "values": item.spec}, restore)

    def _number(self, kind: type) -> int:
        if kind not in self._numbers:
            if len(self._numbers) >= MAX_RECORDS:
                raise ValueError(f"the types lead to more than {MAX_RECORDS} classes; use fewer")
            self._numbers[kind] = len(self.records)
            name = kind.__name__[:MAX_NAME] if kind.__name__.isidentifier() else "Item"
            taken = {record["name"] for record in self.records}
            while name in taken:  # a cell that was run again defines its classes again
                name = f"{name[: MAX_NAME - 1]}_"
            self.records.append({"name": name, "doc": own_doc(kind), "fields": []})
            self._fields.append([])
            self._waiting.append(kind)
        return self._numbers[kind]

    def _describe(self, kind: type) -> None:
        """Fills in a record's fields."""
        number = self._numbers[kind]
        hints = self._hints(kind)
        found = list(members(kind, hints))
        if not found and not (dataclasses.is_dataclass(kind) or typing.is_typeddict(kind)):
            raise TypeError(f"{kind.__name__} has no annotated fields; make it a dataclass")
        if len(found) > MAX_FIELDS:
            raise ValueError(f"{kind.__name__} has more than {MAX_FIELDS} fields; split it")
        for name, required, default, desc in found:
            try:
                check_name(name)
                shape = self._shape(hints.get(name, Any), 0)
            except (ValueError, TypeError) as error:
                raise type(error)(f"in its field `{kind.__name__}.{name}`, {error}") from None
            self._fields[number].append(_Field(name, shape, required))
            self.records[number]["fields"].append(field_spec(name, shape, required, desc, default))

    def _hints(self, kind: type) -> dict[str, Any]:
        try:
            return typing.get_type_hints(kind, localns=self._scope, include_extras=True)
        except NameError as error:
            raise ValueError(f"{kind.__name__} uses `{error.name}`, which does not exist; define it first") from None
        except Exception as error:
            raise ValueError(f"the annotations of {kind.__name__} cannot be read ({error}); mend the class") from None

    def _restore_record(self, kind: type, number: int) -> Callable[[Any], Any]:
        def restore(value: Any) -> Any:
            wanted = self.records[number]["name"]
            if not isinstance(value, dict):
                raise Misfit(f"{shown(value)} is no {wanted}")
            if isinstance(value, Record) and object.__getattribute__(value, "type_name") != wanted:
                raise Misfit(f"{shown(value)} is no {wanted}")
            fields: dict[str, Any] = {}
            for field in self._fields[number]:
                if dict.__contains__(value, field.name):
                    fields[field.name] = field.shape.restore(dict.__getitem__(value, field.name))
                elif field.required:
                    raise Misfit(f"{wanted} lacks `{field.name}`")
            return make(kind, fields)

        return restore
