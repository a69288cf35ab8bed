"""A host function that answers only once as many calls of it wait as should."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

AHEAD = 5
SIX = AHEAD + 1  # the call that is asked for, and those started early


class Together:
    """Answers no call before as many wait as expected, and keeps how many did at most.

    Args:
        answer: The answer to a call, from its arguments.
    """

    def __init__(self, answer: Callable[..., Any]) -> None:
        self.expected = 1
        self.most = 0
        self._answer = answer
        self._waiting: list[tuple[Any, Future[Any]]] = []

    def expect(self, size: int) -> None:
        self.expected, self.most = size, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((self._answer(*args, **kwargs), future))
        self.most = max(self.most, len(self._waiting))
        if len(self._waiting) >= self.expected:
            for answer, waiting in self._waiting:
                if waiting.set_running_or_notify_cancel():
                    waiting.set_result(answer)
            self._waiting.clear()
        return future
