"""What the iterations of a loop may change, in the functions that they call too, found as the loop begins."""

from __future__ import annotations

import ast
import builtins
from types import FunctionType, ModuleType
from typing import Any

from rlm_module.sandbox.guest.foresight import purity
from rlm_module.sandbox.guest.foresight.effects import HOOK, Facts, Function, Loop, facts_of_body, parameters
from rlm_module.sandbox.guest.foresight.scope import Scope, makes_host_functions
from rlm_module.sandbox.guest.host_function import HostFunction

_MOST_OBJECTS = 50_000
_CONCURRENT = frozenset(("asyncio", "threading", "concurrent", "_thread", "pyodide", "js", "sys", "gc", "inspect"))


class _Refused(Exception):
    """What the loop may change cannot be known."""


def survey(loop: Loop, scope: Scope) -> bool:
    """Finds what the iterations may change, in the functions they call too; False if that cannot be known."""
    roots: list[Any] = []
    scope.poisoned |= loop.facts.bound
    waiting: list[tuple[Facts, frozenset[str], FunctionType | None]] = [(loop.facts, frozenset(), None)]
    seen: set[Any] = set()
    try:
        while waiting:
            facts, local, function = waiting.pop()
            for name in facts.loads - local:
                value = _resolve(name, function, scope)
                if type(value) is FunctionType and value not in seen and not name.startswith(HOOK):
                    seen.add(value)
                    body = scope.body_of(value.__code__)
                    if body is not None:
                        waiting.append(_function_facts(body, value, scope))
                    elif value.__globals__ is scope.namespace:
                        raise _Refused
            if not all(name not in local and _makes(name, facts, function, scope) for name in facts.made):
                raise _Refused
            changed = facts.changed | _changed_by_calls(facts, local, function, scope)
            targets = loop.targets if function is None else set[str]()
            roots += [_resolve(name, function, scope) for name in changed - local - targets]
    except _Refused:
        return False
    modules = [root for root in roots if type(root) is ModuleType]
    found = purity.changed_objects([root for root in roots if type(root) is not ModuleType], _MOST_OBJECTS)
    if found is None or any(module.__name__.partition(".")[0] in _CONCURRENT for module in modules):
        return False
    scope.spoiled.update(found)
    return True


def _function_facts(
    body: Function, function: FunctionType, scope: Scope
) -> tuple[Facts, frozenset[str], FunctionType | None]:
    facts = facts_of_body(body)
    if not facts.plain or isinstance(body, ast.AsyncFunctionDef):
        raise _Refused
    scope.poisoned |= facts.outer
    return facts, frozenset((facts.bound - facts.outer).union(parameters(body))), function


def _resolve(name: str, function: FunctionType | None, scope: Scope) -> Any:
    """What a name means in the loop, or in a function that it calls; None if nothing."""
    if function is None:
        return scope.read(name, None)
    if name in function.__code__.co_freevars:
        cell = (function.__closure__ or ())[function.__code__.co_freevars.index(name)]
        try:
            return cell.cell_contents
        except ValueError:
            return None
    return function.__globals__.get(name, getattr(builtins, name, None))


def _makes(name: str, facts: Facts, function: FunctionType | None, scope: Scope) -> bool:
    """Whether what is made by a name, and called at once, is a host function."""
    return name not in facts.bound and makes_host_functions(_resolve(name, function, scope))


def _changed_by_calls(facts: Facts, local: frozenset[str], function: FunctionType | None, scope: Scope) -> set[str]:
    """Names of arguments that a called function may change."""
    changed: set[str] = set()
    for name, is_method, given in facts.passed:
        if name in local or (function is None and name in facts.bound):
            if not is_method:
                raise _Refused
        elif _may_change(_resolve(name, function, scope), is_method, scope):
            changed |= given
    return changed


def _may_change(callee: Any, is_method: bool, scope: Scope) -> bool:
    """Whether calling it, or a method of it, may change the arguments.

    Raises:
        _Refused: If it may change more than these.
    """
    kind = type(callee)
    if isinstance(callee, HostFunction) or makes_host_functions(callee) or (is_method and kind in purity.KNOWN):
        return False
    if kind is FunctionType and not is_method:
        body = scope.body_of(callee.__code__)
        if body is not None:
            return bool(facts_of_body(body).changed & set(parameters(body)))
    source = (
        callee.__name__ if kind is ModuleType else getattr(callee if purity.is_held(callee) else kind, "__module__", "")
    )
    if source == "__main__" or str(source).partition(".")[0] in _CONCURRENT:
        raise _Refused
    if kind is ModuleType or (purity.is_held(callee) and not is_method):
        return True
    if not is_method:
        raise _Refused
    return False
