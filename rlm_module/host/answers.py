"""What comes of a host call: what a tool may return to generated code, and the text of it for the record."""

from __future__ import annotations

import json
import re
from concurrent.futures import Future
from typing import Any

from rlm_module.errors import SubcallError, describe
from rlm_module.prompting.shown import lm_keys, without_secrets
from rlm_module.sandbox.codec import decode, encode_as_text
from rlm_module.sandbox.host_calls import to_plain

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def without_keys(value: Any) -> Any:
    """What a tool returned, without the keys of LMs, since generated code prints what it gets. Only a value that
    repeats one is changed, to what would have come out in the sandbox.
    """
    keys = lm_keys()
    if isinstance(value, str):
        return _cleaned(value, keys)
    keys = tuple(json.dumps(key)[1:-1] for key in keys)
    try:
        text = encode_as_text(value, to_plain) if keys else ""
    except Exception:  # a value of the user's may do anything when it is looked at
        return value
    if not any(key in text for key in keys):
        return value
    return decode(_STRING.sub(lambda string: _cleaned(string[0], keys), text).encode())


def _cleaned(text: str, keys: tuple[str, ...]) -> str:
    for key in keys:
        text = text.replace(key, "[secret]")
    return text


def has_failed(settled: Future[Any]) -> bool:
    """Whether generated code gets no result."""
    return settled.cancelled() or settled.exception() is not None


def answer_text(settled: Future[Any]) -> str | None:
    """What generated code gets, for the record; None where it gets nothing."""
    if settled.cancelled():
        return None
    error = settled.exception()
    if error is not None:
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
