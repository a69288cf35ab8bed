"""Demonstrations of an RLM: whole successful trajectories as plain JSON, shown as the beginning of a conversation."""

from __future__ import annotations

import re

# How a request ends, which is true of one run only: turns, calls and budget left.
_LIMITS = re.compile(r"\s*\[Turn \d+ of \d+\.[^\n]*\]\s*\Z")


def without_limits(request: str) -> str:
    """A turn's request without the line on what was left to the run that it was of."""
    return _LIMITS.sub("", request)
