"""The time of a run as a test decides it, so that a slow machine changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from rlm_module import Budget, waiting

MINUTE = Budget(seconds=60.0)


class Clock:
    """What the time of runs is measured by: it stands still until a tool lets it leap, and goes on from there."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._start = time.monotonic()
        self._leapt_at: float | None = None
        self._by = 0.0
        patch.setattr(waiting, "time", self)

    def monotonic(self) -> float:
        gone = 0.0 if self._leapt_at is None else self._by + time.monotonic() - self._leapt_at
        return self._start + gone

    def leaping(self, left: float) -> Callable[[], None]:
        """A tool, `leap()`, after which a run on `MINUTE` has so many seconds left, to draw up its answer included."""

        def leap() -> None:
            """Lets time pass."""
            self._by, self._leapt_at = 60.0 - left, time.monotonic()

        return leap
