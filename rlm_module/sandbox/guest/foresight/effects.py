"""What the text of a loop or function tells before it runs: what it binds, what it may change, whom it may call."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAKER = "dspy"
"""The module whose classes make host functions."""

HOOK = "__ahead__"
"""The builtin that stands around the iterable of a loop which may run ahead."""

WHOLE = frozenset(("list", "tuple", "set", "frozenset", "dict", "sorted", "sum", "max", "min"))
"""Builtins that consume an iterable whole."""

READERS = WHOLE | _words(
    "len str int float bool bytes repr ascii format round abs divmod ord chr hex bin oct enumerate zip range "
    "reversed isinstance any all print type id hash map filter callable"
)
"""Builtins that change none of their arguments."""

READING_METHODS = _words(
    "split rsplit splitlines strip lstrip rstrip lower upper title capitalize casefold swapcase startswith "
    "endswith removeprefix removesuffix replace find rfind index rindex count join format format_map encode "
    "decode partition rpartition zfill ljust rjust center expandtabs translate isdigit isalpha isalnum isspace "
    "isupper islower istitle isnumeric isdecimal isidentifier hex get items keys values copy union "
    "intersection difference issubset issuperset isdisjoint symmetric_difference bit_length is_integer group "
    "groups groupdict start end span isoformat strftime date time timestamp weekday isoweekday most_common "
    "total"
)
"""Methods of builtin types that change nothing."""

_LEAVING = _words("SUBMIT exit quit eval exec globals locals vars setattr delattr compile __import__")
_EARLY_EXITS = (ast.Raise, ast.Assert, ast.Await, ast.AsyncFor, ast.AsyncWith)
_YIELDS = (ast.Yield, ast.YieldFrom)


@dataclass(slots=True)
class Facts:
    """What some statements or expressions may do, whichever way they go.

    Args:
        loads: Names that are read.
        bound: Names that are assigned, deleted, imported or defined.
        outer: Names declared global or nonlocal.
        changed: Names of what may be changed in place.
        passed: Calls by name, whether of a method (then by the name of its receiver), and the names in their arguments.
        made: Names of classes, or of their modules, whose instances are called as soon as they are made.
        plain: Whether nothing raises, awaits, submits or does what cannot be followed.
        yields: Whether it is the body of a generator.
    """

    loads: set[str] = field(default_factory=set[str])
    bound: set[str] = field(default_factory=set[str])
    outer: set[str] = field(default_factory=set[str])
    changed: set[str] = field(default_factory=set[str])
    passed: list[tuple[str, bool, set[str]]] = field(default_factory=list[tuple[str, bool, set[str]]])
    made: set[str] = field(default_factory=set[str])
    plain: bool = True
    yields: bool = False


@lru_cache(maxsize=1024)
def facts_of(nodes: tuple[ast.AST, ...]) -> Facts:
    """Reads the nodes and all that is inside them, functions defined there too."""
    facts = Facts()
    for outermost in nodes:
        for node in ast.walk(outermost):
            _note(node, facts)
    facts.plain = facts.plain and not facts.loads & _LEAVING
    return facts


def _note(node: ast.AST, facts: Facts) -> None:
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            facts.loads.add(name)
        case ast.Name(id=name):
            facts.bound.add(name)
        case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
            facts.changed |= _roots(node)
        case ast.AugAssign(target=ast.Name(id=name)):
            facts.changed.add(name)
            facts.loads.add(name)
        case ast.Call():
            _note_call(node, facts)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            facts.bound.add(name)
        case ast.arg(arg=name):
            facts.bound.add(name)
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            facts.bound.update(alias.asname or alias.name.partition(".")[0] for alias in names)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            facts.outer.update(names)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            facts.bound.add(name)
        case ast.withitem():
            facts.changed |= _roots(node.context_expr)
        case _:
            facts.plain = facts.plain and not isinstance(node, _EARLY_EXITS)
            facts.yields = facts.yields or isinstance(node, _YIELDS)


def _note_call(node: ast.Call, facts: Facts) -> None:
    given = {name.id for part in (*node.args, *node.keywords) for name in ast.walk(part) if isinstance(name, ast.Name)}
    match node.func:
        case ast.Name(id=name) if name == HOOK:
            pass
        case ast.Name(id=name):
            if name not in READERS:
                facts.passed.append((name, False, given))
        case ast.Attribute(value=value, attr=attr):
            if attr not in READING_METHODS:
                roots = _roots(value)
                facts.changed |= roots
                facts.passed.extend((root, True, given) for root in roots)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name))):
            facts.made.add(name)
        case _:
            facts.plain = False


def _roots(node: ast.AST) -> set[str]:
    """The names at the bottom of `a.b[c].d()`."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def _own_nodes(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes but those of functions and classes defined there."""
    waiting = list(statements)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))


@lru_cache(maxsize=1024)
def returns(statements: tuple[ast.AST, ...]) -> bool:
    """Whether the statements may leave the function they stand in."""
    return any(isinstance(node, ast.Return) for node in _own_nodes(statements))


@lru_cache(maxsize=1024)
def jumps(statements: tuple[ast.AST, ...], kinds: tuple[type[ast.AST], ...] = (ast.Break, ast.Continue)) -> bool:
    """Whether the statements may leave, or go on with, the loop they stand in."""
    waiting = list(statements)
    while waiting:
        node = waiting.pop()
        if isinstance(node, kinds):
            return True
        if isinstance(node, (ast.For, ast.While)):
            waiting.extend(node.orelse)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.expr)):
            waiting.extend(ast.iter_child_nodes(node))
    return False


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop that may run ahead: a `for` statement, or one `for` of a comprehension.

    Args:
        node: The statement or the comprehension.
        target: What each item is bound to.
        items: The expression that is iterated.
        level: Which `for` of a comprehension.
        facts: Of all that an iteration does.
    """

    node: ast.For | Comprehension
    target: ast.expr
    items: ast.expr
    level: int
    facts: Facts

    @property
    def targets(self) -> set[str]:
        return {name.id for name in ast.walk(self.target) if isinstance(name, ast.Name)}


def loops_of(tree: ast.AST) -> Iterator[Loop]:
    """Every loop of a cell that leaves no iteration early, whatever it calls."""
    consumed: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            match node.func:
                case ast.Name(id=name) if name in WHOLE:
                    consumed.add(id(node.args[0]))
                case ast.Attribute(value=ast.Constant(value=str()), attr="join"):
                    consumed.add(id(node.args[0]))
                case _:
                    pass
        if isinstance(node, ast.For):
            facts = facts_of((node.target, *node.body))
            if (
                facts.plain
                and not facts.yields
                and not returns((*node.body,))
                and not jumps((*node.body,), (ast.Break,))
            ):
                yield Loop(node, node.target, node.iter, 0, facts)
        elif isinstance(node, COMPREHENSIONS) and (not isinstance(node, ast.GeneratorExp) or id(node) in consumed):
            yield from _comprehension_loops(node)


def results_of(node: Comprehension) -> list[ast.expr]:
    """What a comprehension makes of each item."""
    return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]


def _comprehension_loops(node: Comprehension) -> Iterator[Loop]:
    if any(part.is_async for part in node.generators):
        return
    for level, part in enumerate(node.generators):
        facts = facts_of((part.target, *part.ifs, *node.generators[level + 1 :], *results_of(node)))
        if facts.plain and not facts.yields:
            yield Loop(node, part.target, part.iter, level, facts)


def wrap(loop: Loop, number: int) -> None:
    """Puts the hook around the loop's iterable, at the same place in the text."""
    scope = ast.Call(ast.Name(HOOK + "scope__", ast.Load()), [], [])
    hook = ast.Call(ast.Name(HOOK, ast.Load()), [loop.items, ast.Constant(number), scope], [])
    for node in ast.walk(hook):
        if node is loop.items:
            continue
        if isinstance(node, ast.expr) and not hasattr(node, "lineno"):
            ast.copy_location(node, loop.items)
    part: Any = loop.node if isinstance(loop.node, ast.For) else loop.node.generators[loop.level]
    part.iter = hook


def bodies_of(tree: ast.AST) -> Iterator[tuple[int, str, Function]]:
    """The functions that a cell defines: first line, name, and text."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield min([node.lineno, *(part.lineno for part in node.decorator_list)]), node.name, node
        elif isinstance(node, ast.Lambda):
            yield node.lineno, "<lambda>", node


def facts_of_body(node: Function) -> Facts:
    """The facts of a function's body."""
    return facts_of((node.body,) if isinstance(node, ast.Lambda) else (*node.body,))


def parameters(node: Function) -> list[str]:
    """Names of a function's parameters."""
    args = node.args
    starred = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, *starred)]


def callers(tree: ast.AST, reaching: set[str]) -> set[str]:
    """Names that a cell gives to functions which call one of the names, or one of those."""
    texts: list[tuple[str, set[str]]] = []
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name):
                texts.append((name, facts_of_body(node).loads))
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as value):
                texts.append((name, facts_of_body(value).loads))
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=other)):
                texts.append((name, {other}))
            case _:
                pass
    found: set[str] = set()
    while more := {name for name, loads in texts if loads & (reaching | found)} - found:
        found |= more
    return found


def makers(tree: ast.AST, known: set[str]) -> tuple[set[str], set[str]]:
    """Follows what a cell makes of the module `MAKER` and its classes, whose instances are host functions.

    Args:
        tree: The cell.
        known: Names that stand for such a module or class.

    Returns:
        More such names, functions that use one included, and names that may be bound to an instance.
    """
    found, made = set(known), set[str]()
    for node in ast.walk(tree):  # what is imported counts in the whole cell, wherever that stands
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name for alias in node.names if alias.name == MAKER}
        elif isinstance(node, ast.ImportFrom) and node.module == MAKER:
            found |= {alias.asname or alias.name for alias in node.names}
    while True:
        before = len(found) + len(made)
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) if facts_of_body(node).loads & found:
                    found.add(name)
                case ast.Assign(targets=targets, value=value) if facts_of((value,)).loads & found:
                    names = {name for target in targets for name in _stored(target)}
                    if isinstance(value, (ast.Name, ast.Attribute, ast.Lambda)):
                        found |= names
                    else:
                        made |= names
                case _:
                    pass
        if len(found) + len(made) == before:
            return found, made


def _stored(target: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


assert frozenset(dir(builtins)) >= READERS
