"""The reflection model: what it was asked before is answered from the journal, and each call is paid and kept."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import dspy

from rlm_module import Budget, LimitReached, Spent, spending
from rlm_module.errors import InputError, in_a_line
from rlm_module.optimizers.evolution.evaluations import Reflections
from rlm_module.optimizers.evolution.stopping import Allowance, Exhausted
from rlm_module.optimizers.shortening import ends
from rlm_module.prompting.shown import encodable

logger = logging.getLogger(__name__)

_ERROR_CHARS = 300
_FAILURES = 3
"""Calls in a row that may fail: a compile without proposals only pays for runs."""


class ReflectionModel:
    """Asks a model for text.

    Args:
        lm: A `dspy.LM`, or any callable that takes a prompt and returns text, which counts as free.
        allowance: Out of which calls are paid.
        reflections: Where they are kept.
    """

    def __init__(self, lm: Any, allowance: Allowance, reflections: Reflections) -> None:
        self._lm = lm
        self._allowance = allowance
        self._reflections = reflections
        self._failures = 0

    def ask(self, request: str) -> str:
        """Its reply; empty where the call failed.

        Raises:
            Exhausted: If no money is left, or it failed several times in a row.
            InputError: If it cannot be asked at all.
        """
        request = encodable(request)
        self._allowance.admit_reflection()
        earlier = self._reflections.find(request)
        if earlier is not None:
            reply, cost = earlier
            self._reflections.took(request)
            self._allowance.book_reflection(cost)
            return reply
        failure: Exception | None = None
        reply = ""
        with spending(Budget()) as spent:
            try:
                reply = self._call(request, spent)
            except (InputError, Exhausted):
                raise
            except Exception as error:
                failure = error
        cost = spent.usage.total.cost_usd
        self._allowance.book_reflection(cost)
        if failure is None:
            self._failures = 0
            self._reflections.add(request, reply, cost)
        else:
            self._reflections.add_cost(cost)
            self._failed(failure)
        return reply

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        told = ends(in_a_line(error), _ERROR_CHARS)
        logger.warning("The reflection model failed: %s", told)
        if self._failures >= _FAILURES:
            raise Exhausted(f"the reflection model failed {_FAILURES} times in a row ({told})")

    def _call(self, request: str, spent: Spent) -> str:
        # The same request asked again is meant to be answered anew, not from the LM's cache.
        again = self._reflections.asked(request)
        is_dspys = isinstance(self._lm, dspy.BaseLM)
        is_cached = is_dspys and bool(getattr(self._lm, "cache", False))
        options = {"rollout_id": again, "temperature": 1.0} if again and is_cached else {}
        try:
            answered = (spent.lm(self._lm) if is_dspys else self._lm)(request, **options)
        except LimitReached:
            raise Exhausted("money") from None
        if inspect.isawaitable(answered):
            if inspect.iscoroutine(answered):
                answered.close()
            raise InputError("reflection_lm is async; give an ordinary function or a dspy.LM.")
        return _text(answered)


def _text(answered: Any) -> str:
    while isinstance(answered, (list, tuple)):
        answered = answered[0] if answered else ""
    if isinstance(answered, dict):
        answered = answered.get("text") or ""
    return answered if isinstance(answered, str) else str(getattr(answered, "text", None) or "")
