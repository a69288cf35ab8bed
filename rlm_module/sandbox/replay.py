"""What a session did, kept so that a sandbox that had to be killed can be brought back to where it was."""

from __future__ import annotations

import ast
import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rlm_module.sandbox.codec import encode


@dataclass(frozen=True, slots=True)
class Loaded:
    """An input that was loaded; the value is the caller's object, not a copy."""

    name: str
    value: Any


@dataclass(slots=True)
class Answered:
    """A host call in the order it was made: the digest of its request, and its encoded answer once there is one."""

    request: bytes
    answer: bytes | None = None


@dataclass(slots=True)
class Ran:
    """A cell that ran to its end, with its number, what it read of the clocks, and its host calls."""

    number: int
    code: str
    clock: bytes = b""
    calls: list[Answered] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lost:
    """A cell that was interrupted: it is not run again, and what it assigned is gone."""

    number: int
    names: tuple[str, ...]


ABANDONED = encode(["error", "CancelledError: the call was cancelled"])
"""The answer to a call that had none when its cell ended; it is never made again."""

Step: TypeAlias = Loaded | Ran | Lost


def digest(request: bytes) -> bytes:
    """What equal requests share."""
    return hashlib.sha256(request).digest()


class Answers:
    """Recorded answers of one cell, handed out by request: the nth equal request gets the nth answer."""

    def __init__(self, ran: Ran) -> None:
        self._left: defaultdict[bytes, deque[bytes]] = defaultdict(deque)
        for call in ran.calls:
            self._left[call.request].append(call.answer or ABANDONED)

    def take(self, request: bytes) -> bytes | None:
        """The answer that this request got, or None if the cell now asks what it did not ask then."""
        queue = self._left.get(digest(request))
        return queue.popleft() if queue else None


def assigned_names(code: str) -> tuple[str, ...]:
    """Global names that a cell binds at its top level, in order; none for code that doesn't parse."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found: dict[str, None] = {}
    waiting: list[ast.AST] = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] = None
            continue
        if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = None
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update((alias.asname or alias.name.partition(".")[0], None) for alias in node.names)
        waiting.extend(reversed(list(ast.iter_child_nodes(node))))
    return tuple(found)


def lost_names(steps: list[Step]) -> tuple[str, ...]:
    """Names that interrupted cells assigned and that no later step has bound again."""
    lost: dict[str, None] = {}
    for step in steps:
        match step:
            case Lost():
                lost.update(dict.fromkeys(step.names))
            case Ran():
                for name in assigned_names(step.code):
                    lost.pop(name, None)
            case Loaded():
                lost.pop(step.name, None)
    return tuple(lost)
