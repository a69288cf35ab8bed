"""Faults of the model's side: which of them are worth another attempt, and when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import dspy
from dspy.utils.exceptions import is_retryable_lm_error
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from rlm_module.prices import is_managed

ATTEMPTS = 4
_LONGEST_HINT = 60.0
_RETRYABLE = frozenset({408, 409, 425, 429})
_jittered = wait_random_exponential(multiplier=0.5, max=20)


def attempts(lm: Any) -> Retrying:
    """Attempts at one call of an LM, for a loop whose body makes the call `with` the attempt. There is but one where
    the LM makes several itself, as every `dspy.LM` does: they must not multiply.
    """
    return Retrying(**_policy(lm))


def aattempts(lm: Any) -> AsyncRetrying:
    """The same for `async for`."""
    return AsyncRetrying(**_policy(lm))


def is_transient(error: BaseException) -> bool:
    """Whether another attempt may succeed: the provider is busy or failing, or the connection was lost."""
    if isinstance(error, dspy.DSPyError):
        return is_retryable_lm_error(error)
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    if isinstance(status, int):
        return status in _RETRYABLE or status >= 500
    # The errors of HTTP clients don't all descend from Python's own.
    lost = type(error).__name__ in ("APIConnectionError", "APITimeoutError", "ConnectError", "ReadTimeout")
    return lost or isinstance(error, (ConnectionError, TimeoutError))


def _policy(lm: Any) -> dict[str, Any]:
    return {
        "stop": stop_after_attempt(1 if is_managed(lm) else ATTEMPTS),
        "retry": retry_if_exception(is_transient),
        "wait": _pause,
        "reraise": True,
    }


def _pause(state: RetryCallState) -> float:
    """As long as the provider asks for, but at most a minute; else ever longer, and by chance."""
    error = state.outcome.exception() if state.outcome is not None else None
    hint = _retry_after(error)
    return min(hint, _LONGEST_HINT) if hint is not None else _jittered(state)


def _retry_after(error: BaseException | None) -> float | None:
    given = getattr(error, "retry_after", None)
    headers = getattr(getattr(error, "response", None), "headers", None)
    if given is None and isinstance(headers, Mapping):
        given = next((value for name, value in headers.items() if str(name).lower() == "retry-after"), None)
    try:
        seconds = float(given) if given is not None else math.nan
    except (TypeError, ValueError):  # a date, which hardly anyone sends
        return None
    return seconds if seconds >= 0 and math.isfinite(seconds) else None
