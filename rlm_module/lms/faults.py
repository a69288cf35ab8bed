"""Faults of the model's side: which of them are worth another attempt, when, and which may cost money all the same."""

from __future__ import annotations

import email.utils
import math
import random
import time
from collections.abc import Mapping
from typing import Any

import dspy
from dspy.utils.exceptions import is_retryable_lm_error

from rlm_module.host.subcalls import is_timeout
from rlm_module.lms.prices import is_managed

ATTEMPTS = 4
LONGEST_HINT = 60.0
_RETRYABLE = frozenset({408, 409, 425, 429})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 20.0
_chance = random.Random()  # its own, so that a program which seeds Python's is not disturbed


def most_attempts(lm: Any) -> int:
    """How often one call of an LM is tried: once where the LM itself tries several times, as every `dspy.LM` does,
    since they must not multiply.
    """
    return 1 if is_managed(lm) else ATTEMPTS


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


def may_be_billed(error: BaseException) -> bool:
    """Whether a provider may charge a call that failed: nobody waited for its end, or its reply could not be read."""
    return not isinstance(error, Exception) or isinstance(error, dspy.LMUnexpectedError) or is_timeout(error)


def pause(error: BaseException | None, attempt: int) -> float:
    """Seconds to wait after a failed attempt (from 1): as long as the provider asks for, but at most a minute; else
    ever longer, and by chance, so that many callers don't come back at once.
    """
    hint = _retry_after(error)
    if hint is not None:
        return min(hint, LONGEST_HINT)
    return _chance.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt))


def _retry_after(error: BaseException | None) -> float | None:
    """What the provider asks for: seconds or a date, in an attribute of the error or a header of its response."""
    given = getattr(error, "retry_after", None)
    headers = getattr(getattr(error, "response", None), "headers", None)
    if given is None and isinstance(headers, Mapping):
        given = next((value for name, value in headers.items() if str(name).lower() == "retry-after"), None)
    try:
        seconds = float(given) if given is not None else math.nan
    except (TypeError, ValueError):
        try:
            seconds = max(0.0, email.utils.parsedate_to_datetime(str(given)).timestamp() - time.time())
        except ValueError:
            return None
    return seconds if seconds >= 0 and math.isfinite(seconds) else None
