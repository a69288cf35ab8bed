"""Measuring memories: LongMemEval, and a generated test set in its form.

What is here is imported by its own names; the command `rlm eval` is built on it.
"""

from __future__ import annotations
