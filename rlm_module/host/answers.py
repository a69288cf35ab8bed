"""What came of a host call, as text for the record of its run."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from rlm_module.errors import SubcallError, describe
from rlm_module.prompting.shown import without_secrets
from rlm_module.sandbox.codec import encode_as_text
from rlm_module.sandbox.host_calls import to_plain


def has_failed(settled: Future[Any]) -> bool:
    """Whether generated code gets no result."""
    return settled.cancelled() or settled.exception() is not None


def answer_text(settled: Future[Any]) -> str | None:
    """What generated code gets, for the record; None where it gets nothing."""
    if settled.cancelled():
        return None
    error = settled.exception()
    if isinstance(error, Exception):
        return encode_as_text(["error", error if isinstance(error, SubcallError) else without_secrets(describe(error))])
    try:
        return encode_as_text(["value", settled.result()], to_plain)
    except Exception:  # a value of the user's may do anything when it is looked at
        return encode_as_text(["value", str(settled.result())])


def error_text(settled: Future[Any]) -> str | None:
    """Why it failed, of a batch how many items did; None where it succeeded."""
    if settled.cancelled():
        return "cancelled"
    error = settled.exception()
    if error is not None:
        return str(error) if isinstance(error, SubcallError) else without_secrets(describe(error))
    result = settled.result()
    failures = [item for item in result if isinstance(item, SubcallError)] if isinstance(result, list) else []
    return f"{len(failures)} of {len(result)} failed, first with {failures[0]}" if failures else None
