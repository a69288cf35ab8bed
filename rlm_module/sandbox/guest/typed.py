"""Typed sub-calls, the sandbox's half: a signature of the model's own types as a description that may leave the
sandbox, its inputs as plain values, and the host's plain answer as instances of the model's own classes.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from rlm_module.sandbox.guest.described import Types
from rlm_module.sandbox.guest.shapes import Shape, check_name, field_spec, label, shortened, shown
from rlm_module.sandbox.record import Record
from rlm_module.sandbox.type_limits import MAX_FIELDS, MAX_SPEC

_EXAMPLE = '"text: str, limit: int = 3 -> items: list[Item]"'
_MAX_SIGNATURE = 10_000
_MAX_ARROWS = 20
_RESERVED = frozenset({"signature", "instructions", "model"})
_NAMES = (date, datetime, time, timedelta, Decimal, UUID)
_SCOPE: dict[str, Any] = {
    **{name: getattr(typing, name) for name in typing.__all__},
    **{kind.__name__: kind for kind in _NAMES},
}


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """An input or output.

    Args:
        name: Its name.
        shape: Its type.
        default: What an input is where it is not given; `...` if it has to be.
    """

    name: str
    shape: Shape
    default: Any = ...


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """An input or output that a class declares.

    Args:
        annotation: Its type.
        desc: What it is.
        default: What an input is where it is not given; `...` if it has to be.
    """

    annotation: Any
    desc: str = ""
    default: Any = ...


@dataclasses.dataclass(frozen=True, slots=True)
class Described:
    """A signature whose types are described.

    Args:
        inputs: In order.
        outputs: In order.
        records: The classes that its types lead to, by number.
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    records: list[dict[str, Any]]

    def spec(self) -> dict[str, Any]:
        """The description, in JSON's types."""
        return {
            "inputs": [field_spec(field.name, field.shape) for field in self.inputs],
            "outputs": [field_spec(field.name, field.shape) for field in self.outputs],
            "records": self.records,
        }

    def with_reasoning(self) -> Described:
        """The same with an output `reasoning` that comes before the others."""
        if any(field.name == "reasoning" for field in self.outputs):
            return self
        _check("reasoning", [field.name for field in self.inputs] + ["reasoning"], frozenset())
        return dataclasses.replace(self, outputs=(Field("reasoning", Types({}).of(str)), *self.outputs))

    def bind(self, given: Mapping[str, Any], is_shown: bool = True) -> dict[str, Any]:
        """The inputs of a call as values that can cross, defaults filled in.

        Args:
            given: Values by input name.
            is_shown: Whether a prompt will show them; else they cross as they are.

        Raises:
            TypeError: If one is missing, or there is no such input.
            ValueError: If one contains itself.
        """
        names = [field.name for field in self.inputs]
        unknown = [str(name) for name in given if name not in names]
        missing = [field.name for field in self.inputs if field.default is ... and field.name not in given]
        if unknown or missing:
            faults = [f"lacks the input `{name}`" for name in missing] + [f"has no input `{name}`" for name in unknown]
            raise TypeError(f"the call {' and '.join(faults)}; give {', '.join(names)}")
        bound: dict[str, Any] = {}
        for field in self.inputs:
            try:
                value = given.get(field.name, field.default)
                bound[field.name] = sendable(value) if is_shown else value
            except RecursionError:
                raise ValueError(f"the input `{field.name}` is nested too deeply; pass a flatter value") from None
        return bound

    def restore(self, fields: Mapping[str, Any]) -> Record:
        """The host's plain answer as values of the signature's own types.

        Args:
            fields: Values by output name.

        Raises:
            ValueError: If a value is not of its type, or a class refuses what it is given.
        """
        found: dict[str, Any] = {}
        for field in self.outputs:
            if not dict.__contains__(dict(fields), field.name):
                raise ValueError(f"the answer lacks the output `{field.name}`; ask again")
            try:
                found[field.name] = field.shape.restore(fields[field.name])
            except ValueError as error:
                raise ValueError(f"the output `{field.name}` does not fit its type: {error}") from None
            except RecursionError:
                raise ValueError(f"the output `{field.name}` is nested too deeply; use a flatter type") from None
        return Record("Prediction", found)


def parse(signature: str, namespace: Mapping[str, Any], reserved: frozenset[str] = _RESERVED) -> Described:
    """Reads a signature such as `"text: str, limit: int = 3 -> items: list[Item]"`.

    Args:
        signature: Inputs, an arrow and outputs. A field without a type is text; inputs may have defaults.
        namespace: What names in it stand for; builtins and the names of `typing` are known.
        reserved: Names that the call takes for itself.

    Raises:
        ValueError, TypeError: Naming the field and the mend, in one sentence.
    """
    if type(signature) is not str:
        raise TypeError(f"a signature is text such as {_EXAMPLE}, not {type(signature).__name__}")
    if len(signature) > _MAX_SIGNATURE:
        raise ValueError(f"the signature is longer than {_MAX_SIGNATURE:,} characters; shorten it")
    inputs, outputs = _sides(signature)
    names = [argument.arg for argument, _ in (*inputs, *outputs)]
    _check_names(names, reserved)
    types = Types({**_SCOPE, **namespace})
    described = Described(
        tuple(_field(argument, default, types) for argument, default in inputs),
        tuple(_field(argument, default, types) for argument, default in outputs),
        types.records,
    )
    _check_sides(described)
    return described


def describe(
    inputs: Mapping[str, Declared], outputs: Mapping[str, Declared], namespace: Mapping[str, Any]
) -> Described:
    """The same of a signature that is a class.

    Args:
        inputs: By name.
        outputs: By name.
        namespace: What names in annotations that are text stand for.

    Raises:
        ValueError, TypeError: Naming the field and the mend, in one sentence.
    """
    for side, fields in (("inputs", inputs), ("outputs", outputs)):
        if not fields:
            raise ValueError(f"the signature has no {side}; declare both, as in `text: str = dspy.InputField()`")
    _check_names([*inputs, *outputs], frozenset())
    types = Types({**_SCOPE, **namespace})
    described = Described(
        tuple(_declared(name, field, types) for name, field in inputs.items()),
        tuple(_declared(name, field, types) for name, field in outputs.items()),
        types.records,
    )
    _check_sides(described)
    return described


def sendable(value: Any) -> Any:
    """A value with instances of the model's own classes in it as dicts, and enums as what they are called."""
    kind: Any = type(value)
    if kind in (str, int, float, bool, type(None), bytes):
        return value
    if isinstance(value, Enum):
        return label(value)
    if isinstance(value, dict):
        return {sendable(key): sendable(item) for key, item in dict.items(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: sendable(item) for name, item in zip(kind._fields, value, strict=True)}
    if isinstance(value, (list, tuple)):
        return [sendable(item) for item in value]
    if isinstance(value, (set, frozenset)):  # in an order that is the same whenever the cell is replayed
        return sorted((sendable(item) for item in value), key=repr)
    if dataclasses.is_dataclass(kind):
        return {field.name: sendable(getattr(value, field.name)) for field in dataclasses.fields(kind)}
    names = _annotated(kind)
    return {name: sendable(getattr(value, name)) for name in names if hasattr(value, name)} if names else value


def _annotated(kind: type) -> list[str]:
    if kind.__module__ in ("builtins", "datetime", "decimal", "fractions", "uuid", "pathlib"):
        return []
    try:
        return list(dict.fromkeys(name for base in reversed(kind.__mro__) for name in inspect.get_annotations(base)))
    except NameError:
        return []


_Argument = tuple[ast.arg, "ast.expr | None"]


def _sides(signature: str) -> tuple[list[_Argument], list[_Argument]]:
    """Inputs and outputs. A literal may hold an arrow, so the first at which both sides can be read is the one."""
    arrows = [found.start() for found in re.finditer("->", signature)][:_MAX_ARROWS]
    if not arrows:
        raise ValueError(
            f"the signature {shown(signature)} has no `->`; write inputs, an arrow and outputs: {_EXAMPLE}"
        )
    faults: list[ValueError] = []
    for at in arrows:
        try:
            return _arguments(signature[:at], "inputs"), _arguments(signature[at + 2 :], "outputs")
        except ValueError as error:
            faults.append(error)
    raise faults[0]


def _arguments(text: str, side: str) -> list[_Argument]:
    text = text.strip().removesuffix(",").strip()
    if not text:
        raise ValueError(f"the signature has no {side}; write both, such as {_EXAMPLE}")
    fault = _syntax_fault(text)
    if fault:
        pieces = _pieces(text)
        culprit, fault = next(((piece, found) for piece in pieces if (found := _syntax_fault(piece))), (text, fault))
        raise ValueError(
            f"{shown(culprit.strip())} among the {side} is no field ({fault}); write a name, or a name and a type "
            "such as `items: list[str]`"
        )
    arguments = _function(text).args
    return list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))


def _function(text: str) -> ast.FunctionDef:
    body = ast.parse(f"def _(*, {text}\n): ...").body
    function = body[0]
    if len(body) != 1 or not isinstance(function, ast.FunctionDef) or function.returns or len(function.body) != 1:
        raise SyntaxError("it ends early")
    if function.args.kwarg:
        raise SyntaxError("it has no name of its own")
    return function


def _syntax_fault(text: str) -> str:
    try:
        _function(text)
    except SyntaxError as error:
        return error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error)
    return ""


def _pieces(text: str) -> list[str]:
    """The text split at the commas outside brackets, to tell which field is at fault."""
    pieces, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth <= 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces


def _check_names(names: list[str], reserved: frozenset[str]) -> None:
    for name in names:
        _check(name, names, reserved)
    if len(names) > MAX_FIELDS:
        raise ValueError(f"the signature has more than {MAX_FIELDS} fields; use fewer")


def _check(name: str, names: list[str], reserved: frozenset[str]) -> None:
    if names.count(name) > 1:
        raise ValueError(f"`{name}` stands twice in the signature; give each field a name of its own")
    if name in reserved:
        raise ValueError(f"`{name}` is an argument of the call itself; rename the field")
    if name.startswith("_"):
        raise ValueError(f"`{name}` begins with an underscore; rename the field")
    check_name(name)


def _field(argument: ast.arg, default: ast.expr | None, types: Types) -> Field:
    try:
        annotation = types.evaluate(ast.unparse(argument.annotation)) if argument.annotation else str
        shape = types.of(annotation)
        return Field(argument.arg, shape, types.evaluate(ast.unparse(default)) if default else ...)
    except (ValueError, TypeError) as error:
        raise type(error)(f"`{argument.arg}`: {error}") from None


def _declared(name: str, field: Declared, types: Types) -> Field:
    try:
        shape = types.of(field.annotation)
    except (ValueError, TypeError) as error:
        raise type(error)(f"`{name}`: {error}") from None
    if field.desc:
        shape = Shape({**shape.spec, "desc": shortened(field.desc)}, shape.restore)
    return Field(name, shape, field.default)


def _check_sides(described: Described) -> None:
    for field in described.outputs:
        if field.default is not ...:
            raise ValueError(f"the output `{field.name}` has a default, which outputs don't take; use `| None` instead")
    if len(json.dumps(described.spec())) > MAX_SPEC:
        raise ValueError(f"the types take more than {MAX_SPEC:,} characters to describe; use fewer or shorter ones")
