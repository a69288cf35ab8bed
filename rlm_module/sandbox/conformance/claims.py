"""What checks claim, and what is raised where it does not hold."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE_SECONDS = 60.0


class NotConforming(AssertionError):
    """A promise of the protocol that a session does not keep."""


def require(holds: bool, promise: str) -> None:
    """Raises `NotConforming` where a promise does not hold."""
    if not holds:
        raise NotConforming(f"expected that {promise}")


def equal(found: object, expected: object, what: str) -> None:
    """Raises `NotConforming` where two things differ."""
    if found != expected:
        raise NotConforming(f"{what}: expected {expected!r}, found {found!r}")


def same(found: object, expected: object, what: str) -> None:
    """Raises `NotConforming` where two things differ in value or type, or in the sign of zero."""
    equal((type(found), repr(found)), (type(expected), repr(expected)), what)


def happens(event: threading.Event, what: str) -> None:
    """Raises `NotConforming` where an event does not come in time."""
    require(event.wait(_PATIENCE_SECONDS), what)


def result_of(future: Future[T]) -> T:
    """The result of a future, which every session has to give in time."""
    return future.result(_PATIENCE_SECONDS)


def fails(future: Future[Any], kind: type[Exception], what: str) -> None:
    """Raises `NotConforming` where a future does not fail as it must."""
    error = future.exception(_PATIENCE_SECONDS)
    require(isinstance(error, kind), f"{what} fails with {kind.__name__}, not with {error!r}")
