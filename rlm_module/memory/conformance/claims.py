"""What checks claim, and what is raised where it does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from rlm_module.memory.data import Turn
from rlm_module.memory.found import Page

T = TypeVar("T")


class NotConforming(AssertionError):
    """A promise of the protocols that a store does not keep."""


def paged(turn_over: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """All items of a list, page by page."""
    cursor: str | None = None
    while True:
        page = turn_over(cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def said(turn: Turn) -> tuple[object, ...]:
    """A turn without its id."""
    return (turn.role, turn.text, turn.ts.isoformat())


def require(holds: bool, promise: str) -> None:
    """Raises `NotConforming` where a promise does not hold."""
    if not holds:
        raise NotConforming(f"expected that {promise}")


def equal(found: object, expected: object, what: str) -> None:
    """Raises `NotConforming` where two things differ."""
    if found != expected:
        raise NotConforming(f"{what}: expected {expected!r}, found {found!r}")


def fails(action: Callable[[], object], kind: type[Exception], what: str) -> None:
    """Raises `NotConforming` where an action does not fail as it must."""
    try:
        action()
    except kind:
        return
    raise NotConforming(f"{what}: expected {kind.__name__}")
