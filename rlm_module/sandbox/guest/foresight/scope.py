"""Variables of a simulation, which reads the program's own and changes none of them."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from rlm_module.sandbox.guest.foresight import purity
from rlm_module.sandbox.guest.foresight.effects import MAKER, Function
from rlm_module.sandbox.guest.foresight.purity import UNKNOWN, Effort, Failing, Unforeseen
from rlm_module.sandbox.guest.host_function import HostFunction


def makes_host_functions(value: Any) -> bool:
    """Whether it is a class whose instances are host functions, or the module that has such classes."""
    if type(value) is ModuleType:
        return value is sys.modules.get(MAKER)
    # A class that a cell derives from one may do anything when an instance is made.
    return isinstance(value, type) and issubclass(value, HostFunction) and value.__module__ == MAKER


class Enough(Exception):
    """The iteration has more calls than there is use for now."""


class Uncertain(Exception):
    """Where the program goes from here depends on what is unknown."""


class Leave(Exception):
    """`continue`, `break` or `return`, by its node's type."""

    def __init__(self, kind: type[ast.stmt], value: Any = None) -> None:
        self.kind, self.value = kind, value


class Frame:
    """Variables of one simulated function, or of the loop's body where there is no function."""

    def __init__(self, function: FunctionType | None = None, local: frozenset[str] = frozenset()) -> None:
        self.function = function
        self.local = local
        self.names: dict[str, Any] = {}
        self.yielded: list[Any] = []


class Scope:
    """The program's variables as a loop finds them, but for those that its iterations may change.

    Args:
        names: Local variables where the loop stands in a function; else the globals.
        namespace: The globals.
        bodies: Texts of the functions that cells defined.
    """

    def __init__(
        self, names: Mapping[str, Any], namespace: dict[str, Any], bodies: Callable[[CodeType], Function | None]
    ) -> None:
        self.names, self.namespace, self.body_of = names, namespace, bodies
        self.poisoned: set[str] = set()
        self.spoiled: dict[int, Any] = {}

    def read(self, name: str, default: Any = UNKNOWN) -> Any:
        for place in (self.names, self.namespace, builtins.__dict__):
            if name in place:
                return place[name]
        return default


class Variables:
    """Variables of a simulation: a frame for the loop's body, and one for each function that it is in.

    Args:
        scope: The program around it.
        effort: What evaluating may cost.
    """

    def __init__(self, scope: Scope, effort: Effort) -> None:
        self._scope, self._effort = scope, effort
        self._base = self._frame = Frame()
        self.partial = False

    def _lookup(self, name: str) -> Any:
        scope, frame = self._scope, self._frame
        if name in frame.names:
            return self._admit(frame.names[name])
        if frame.function is not None:
            if name in frame.local:
                return UNKNOWN
            if name in frame.function.__code__.co_freevars:
                cell = (frame.function.__closure__ or ())[frame.function.__code__.co_freevars.index(name)]
                try:
                    return UNKNOWN if name in scope.poisoned else self._admit(cell.cell_contents)
                except ValueError:
                    return UNKNOWN
            if scope.names is scope.namespace and name in self._base.names:
                return self._admit(self._base.names[name])
        if name in scope.poisoned:
            return UNKNOWN
        if frame.function is None:
            return self._admit(scope.read(name))
        return self._admit(frame.function.__globals__.get(name, getattr(builtins, name, UNKNOWN)))

    def _admit(self, value: Any) -> Any:
        """A value of the program's own: unknown where an earlier statement may have changed it."""
        if type(value) in purity.SCALARS or value is UNKNOWN:
            return value
        return UNKNOWN if id(value) in self._scope.spoiled or type(value) in purity.ITERATORS else value

    def _spoil(self, value: Any) -> None:
        if type(value) in purity.SCALARS or value is UNKNOWN:
            return
        found = purity.changed_objects([value], 1_000)
        if found is None:
            raise Unforeseen
        self._scope.spoiled.update(found)

    def _items(self, value: Any) -> Iterable[Any]:
        """What may be iterated, a step paid for each item."""
        if type(value) not in purity.ITERATED and type(value) not in purity.ITERATORS:
            raise Unforeseen
        for item in value:
            self._effort.spend(1)
            yield item


def names_in(target: ast.expr) -> set[str]:
    """The names that an assignment to the target binds."""
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def has_unknown(values: Iterable[Any]) -> bool:
    """Whether one of the values is UNKNOWN."""
    return any(value is UNKNOWN for value in values)


def bind_arguments(function: FunctionType, body: Function, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The variables that a call begins with.

    Raises:
        Failing: If the arguments don't fit.
    """
    spec = body.args
    positional = [arg.arg for arg in (*spec.posonlyargs, *spec.args)]
    names: dict[str, Any] = dict(function.__kwdefaults__ or {})
    defaults = function.__defaults__ or ()
    names.update(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    names.update(zip(positional, args, strict=False))
    if len(args) > len(positional) and spec.vararg is None:
        raise Failing
    if spec.vararg is not None:
        rest = args[len(positional) :]
        names[spec.vararg.arg] = UNKNOWN if has_unknown(rest) else tuple(rest)
    by_name = {arg.arg for arg in (*spec.args, *spec.kwonlyargs)} - set(positional[: len(args)])
    extra = {name: value for name, value in kwargs.items() if name not in by_name}
    names.update({name: value for name, value in kwargs.items() if name in by_name})
    if spec.kwarg is not None:
        names[spec.kwarg.arg] = UNKNOWN if has_unknown(extra.values()) else extra
    elif extra:
        raise Failing
    if not names.keys() >= {*positional, *(arg.arg for arg in spec.kwonlyargs)}:
        raise Failing
    return names
