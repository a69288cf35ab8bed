"""How many sub-calls an RLM and all below it may make."""

from __future__ import annotations

import threading


class Allowance:
    """Sub-calls that an RLM and all below it may make.

    Args:
        limit: How many.
        parent: The allowance out of which they are taken, too.
    """

    def __init__(self, limit: int, parent: Allowance | None = None) -> None:
        self.limit = limit
        self._parent = parent
        self._used = 0
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Sub-calls that may still be made."""
        own = max(0, self.limit - self._used)
        return own if self._parent is None else min(own, self._parent.left)

    def reserve(self, calls: int = 1) -> int:
        """Takes up to `calls` sub-calls out of what is left, before they are made.

        Returns:
            How many of them may be made, from the first on.
        """
        with self._lock:
            granted = min(calls, max(0, self.limit - self._used))
            if self._parent is not None:
                granted = self._parent.reserve(granted)
            self._used += granted
            return granted

    def give_back(self) -> None:
        """Ends a reservation of one that was not made."""
        with self._lock:
            self._used -= 1
            if self._parent is not None:
                self._parent.give_back()
