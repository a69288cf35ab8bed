"""The reflection model: what it was asked before is answered from the journal, and each call is paid and kept."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import dspy

from rlm_module.errors import InputError
from rlm_module.optimizers.evaluations import Reflections
from rlm_module.optimizers.stopping import Allowance, Exhausted

logger = logging.getLogger(__name__)


class ReflectionModel:
    """Asks a model for text.

    Args:
        lm: A `dspy.LM`, or any callable that takes a prompt and returns text.
        allowance: Out of which calls are paid.
        reflections: Where they are kept.
        is_spent: Whether a limit of money shared with program runs is reached.
    """

    def __init__(self, lm: Any, allowance: Allowance, reflections: Reflections) -> None:
        self._lm = lm
        self._allowance = allowance
        self._reflections = reflections

    def ask(self, request: str) -> str:
        """Its reply; empty where the call failed.

        Raises:
            Exhausted: If no money is left.
            InputError: If there is no model.
        """
        earlier = self._reflections.find(request)
        self._allowance.admit_reflection()
        if earlier is not None:
            reply, cost = earlier
            self._reflections.took(request)
        else:
            reply, cost = self._call(request)
            self._reflections.add(request, reply, cost)
        self._allowance.book_reflection(cost)
        return reply

    def _call(self, request: str) -> tuple[str, float | None]:
        # The same request asked again is meant to be answered anew, not from the LM's cache.
        again = self._reflections.asked(request)
        options = {"rollout_id": again, "temperature": 1.0} if again and isinstance(self._lm, dspy.LM) else {}
        history = getattr(self._lm, "history", None)
        before = history[-1] if isinstance(history, list) and history else None
        try:
            answered = self._lm(request, **options)
        except (dspy.LMNotConfiguredError, Exhausted):
            raise
        except Exception as error:
            logger.warning("The reflection model failed: %s: %s", type(error).__name__, error)
            return "", _price(self._lm, before)
        if inspect.isawaitable(answered):
            raise InputError("reflection_lm is async; give an ordinary function or a dspy.LM.")
        return _text(answered), _price(self._lm, before)


def _price(lm: Any, before: Any) -> float | None:
    """What its last call cost; a callable that tells no cost counts as free."""
    history = getattr(lm, "history", None)
    if not isinstance(history, list):
        return 0.0
    if not history or history[-1] is before:
        return 0.0
    return history[-1].get("cost")


def _text(answered: Any) -> str:
    while isinstance(answered, (list, tuple)):
        answered = answered[0] if answered else ""
    if isinstance(answered, dict):
        answered = answered.get("text") or ""
    return answered if isinstance(answered, str) else str(getattr(answered, "text", None) or "")


def asker(lm: Any, allowance: Allowance, reflections: Reflections) -> Callable[[str], str]:
    """What sends requests to a model."""
    return ReflectionModel(lm, allowance, reflections).ask
