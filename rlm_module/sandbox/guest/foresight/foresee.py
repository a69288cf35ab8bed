"""A small interpreter of plain Python that finds the host calls of an iteration that has not begun.

It runs the text of a loop's body on variables of its own, changes nothing outside and evaluates only what is pure
(`purity.py`). Calls are followed here; what they stand in is in `statements.py` and `expressions.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from rlm_module.sandbox.guest.foresight import purity
from rlm_module.sandbox.guest.foresight.effects import HOOK, WHOLE, Function, Loop, facts_of_body
from rlm_module.sandbox.guest.foresight.purity import UNKNOWN, Effort, Unforeseen
from rlm_module.sandbox.guest.foresight.scope import (
    Enough,
    Frame,
    Leave,
    Scope,
    Uncertain,
    bind_arguments,
    has_unknown,
    makes_host_functions,
)
from rlm_module.sandbox.guest.foresight.statements import Statements
from rlm_module.sandbox.guest.host_function import HostFunction

_DEPTH = 12
_MOST_STEPS = 200_000
_STEPS_TO_MAKE = 300


class Foresight(Statements):
    """Foresees the calls of one loop's iterations.

    Args:
        loop: The loop.
        scope: Its surroundings.
        effort: What evaluating may cost.
        most: Calls after which an iteration is not simulated any further.
    """

    def __init__(self, loop: Loop, scope: Scope, effort: Effort, most: int) -> None:
        super().__init__(scope, effort)
        self._loop, self._most = loop, most
        self._depth = 0
        self._generators = 0
        self._requests: list[str] = []
        self.is_full = False

    def earn(self, steps: int) -> None:
        """Allows more effort: a call was foreseen rightly."""
        self._effort.left = min(self._effort.left + steps, _MOST_STEPS)

    def items(self) -> Iterator[Any] | None:
        """A second iterator over what the loop iterates, from the expression; None where that is not pure."""
        self._reset()
        try:
            value = self._value(self._loop.items)
            return iter(self._items(value)) if value is not UNKNOWN else None
        except (Unforeseen, Uncertain, Enough):
            return None

    def iteration(self, item: Any) -> list[str]:
        """The requests that the iteration for an item is going to make, in order; `partial` says whether all.

        Raises:
            Unforeseen: If nothing more can be told of this loop.
        """
        self._reset()
        try:
            self._bind(self._loop.target, self._admit(item))
            if isinstance(self._loop.node, ast.For):
                self._block(self._loop.node.body)
            else:
                all([*self._elements(self._loop.node, self._loop.level, [])])
        except Leave:
            pass
        except Uncertain:
            self.partial = True
        except Enough:
            self.partial = self.is_full = True
        except RecursionError:
            raise Unforeseen from None
        return self._requests

    def _reset(self) -> None:
        self._base = self._frame = Frame()
        self._depth = self._generators = 0
        self._requests, self.partial, self.is_full = [], False, False

    def _eval_Call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id == HOOK:
            return self._value(node.args[0])
        receiver: Any = None
        if isinstance(node.func, ast.Attribute):
            receiver = self._value(node.func.value)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        is_module = type(receiver) is ModuleType
        if not method or is_module:
            return self._call_function(node, self._value(node.func))
        if receiver is UNKNOWN:
            self._arguments(node)
            return UNKNOWN
        if purity.is_reading(receiver, method):
            return self._call_pure(node, getattr(receiver, method), receiver, method)
        if type(receiver) not in purity.KNOWN:
            field = getattr(receiver, method) if purity.has_plain_field(receiver, method) else UNKNOWN
            if isinstance(field, HostFunction):
                return self._call_function(node, field)
            raise Unforeseen  # a class of the model's may do anything
        self._arguments(node)
        self._spoil(receiver)
        return UNKNOWN

    def _call_function(self, node: ast.Call, function: Any) -> Any:
        if (function is any or function is all) and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            return self._any_all(node.args[0], function is any)
        if purity.is_pure(function):
            return self._call_pure(node, function, None, function.__name__)
        args, kwargs = self._arguments(node)
        if isinstance(function, HostFunction):
            self._ask(function, args, kwargs)
            return UNKNOWN
        if makes_host_functions(function):
            return self._make(function, args, kwargs)
        if type(function) is FunctionType and args is not None and kwargs is not None:
            body = self._scope.body_of(function.__code__)
            if body is not None:
                return self._inline(function, body, args, kwargs)
        if function is not print:
            for value in (*(args or ()), *(kwargs or {}).values()):
                self._spoil(value)
        return UNKNOWN

    def _arguments(self, node: ast.Call) -> tuple[list[Any] | None, dict[str, Any] | None]:
        """The arguments, unknown ones among them; None where not even their number is known."""
        args: list[Any] | None = []
        for part in node.args:
            if isinstance(part, ast.Starred):
                many = self._value(part.value)
                args = None if many is UNKNOWN or args is None else [*args, *map(self._admit, self._items(many))]
                continue
            if isinstance(part, ast.GeneratorExp):
                whole = isinstance(node.func, ast.Name) and node.func.id in WHOLE
                whole = whole or (isinstance(node.func, ast.Attribute) and node.func.attr == "join")
                value = self._comprehension(part, list) if whole and len(node.args) == 1 else UNKNOWN
                self.partial = self.partial or not whole
            else:
                value = self._value(part)
            if args is not None:
                args.append(value)
        kwargs: dict[str, Any] | None = {}
        for keyword in node.keywords:
            value = self._value(keyword.value)
            if keyword.arg is None and (type(value) is not dict or not all(type(key) is str for key in value)):
                kwargs = None
            elif kwargs is not None:
                kwargs.update(value if keyword.arg is None else {keyword.arg: value})
        return args, kwargs

    def _call_pure(self, node: ast.Call, function: Any, receiver: Any, method: str) -> Any:
        args, kwargs = self._arguments(node)
        if args is None or kwargs is None or has_unknown(given := [*args, *kwargs.values()]):
            return UNKNOWN
        if receiver is None and purity.is_lazy(function):
            if not purity.may_look(function, given):
                return UNKNOWN
        else:
            args = [list(self._items(arg)) if type(arg) in purity.ITERATORS else arg for arg in args]
            outside = () if receiver is None or purity.is_outside(receiver, method) else (receiver,)
            if not self._known(*args, *kwargs.values(), *outside):
                return UNKNOWN
        purity.guard_call(function, receiver, method, [*args, *kwargs.values()], self._effort)
        result = purity.paid(function(*args, **kwargs), self._effort)
        return result if type(result) in purity.ITERATORS else self._admit(result)

    def _any_all(self, node: ast.GeneratorExp, wanted: bool) -> Any:
        """`any` and `all` stop at the first item that decides."""
        found: list[Any] = []
        for done in self._elements(node, 0, found, begin=True):
            truth = self._truth(found.pop()) if done and found else UNKNOWN
            if truth is UNKNOWN:
                self.partial = True
                return UNKNOWN
            if truth is wanted:
                return wanted
        return not wanted

    def _make(self, kind: Any, args: list[Any] | None, kwargs: dict[str, Any] | None) -> Any:
        """A host function that the iteration makes; making one has no effects."""
        given = [*(args or ()), *(kwargs or {}).values()]
        if args is None or kwargs is None or not self._known(*(one for one in given if not isinstance(one, type))):
            return UNKNOWN
        self._effort.spend(_STEPS_TO_MAKE)
        return kind(*args, **kwargs)

    def _ask(self, function: HostFunction, args: list[Any] | None, kwargs: dict[str, Any] | None) -> None:
        """Notes the request of a call that may be started early."""
        if not function.ahead:
            return
        given = [*(args or ()), *(kwargs or {}).values()]
        if args is None or kwargs is None or not self._known(*(value for value in given if type(value) is not type)):
            self.partial = True
            return
        if self._generators:  # a generator's calls are made as its items are asked for
            raise Unforeseen
        request = function.request(tuple(args), kwargs)
        self._effort.carry(len(request))
        self._requests.append(request)
        if len(self._requests) >= self._most:
            raise Enough

    def _inline(self, function: FunctionType, body: Function, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The value of a call of a function that a cell defined, by simulating it."""
        facts = facts_of_body(body)
        if isinstance(body, ast.AsyncFunctionDef) or self._depth >= _DEPTH or not facts.plain:
            raise Unforeseen
        frame = Frame(function, frozenset(facts.bound - facts.outer))
        frame.names.update(bind_arguments(function, body, args, kwargs))
        outer, self._frame = self._frame, frame
        self._depth += 1
        self._generators += facts.yields
        try:
            if isinstance(body, ast.Lambda):
                return self._value(body.body)
            self._block(body.body)
            value = None
        except Leave as leave:
            value = leave.value
        except Uncertain:
            self.partial = True
            return UNKNOWN
        finally:
            self._frame = outer
            self._depth -= 1
            self._generators -= facts.yields
        return iter(frame.yielded) if facts.yields else value
