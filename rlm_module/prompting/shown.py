"""Makes text from the sandbox, and from inputs, safe to show to a model: it may be written to mislead the prompt."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

# dspy expands what stands between these two marks in a user message into an image or file part, which a provider
# would then fetch; adapters take the others for the borders of fields.
_CUSTOM_TYPE = re.compile(r"<<(?=CUSTOM-TYPE-(?:START|END)-IDENTIFIER>>)")
_FIELD_HEADER = re.compile(r"\[\[(?=[ \t]*##)")


def encodable(text: str) -> str:
    """The text with lone surrogates, which no provider can receive, spelt out as escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


_SHORTEST = 8  # a shorter value would blot out parts of words
_SHORTEST_KEY = 16
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.I)
_SECRET = re.compile(r"\b(?:sk|pk|rk|xai|gsk|hf|ghp)[-_][\w*-]{6,}|\bAIza[\w-]{20,}|\bBearer\s+[\w.~+/-]{8,}")


_kept: set[str] = set()


def is_secret_name(name: str) -> bool:
    """Whether a variable or option is named like a credential."""
    return bool(_SECRET_NAME.search(name))


def keep_secret(credentials: Iterable[str]) -> None:
    """Blots these credentials, too, from now on: an LM's key need not be one of the environment's."""
    _kept.update(text for text in credentials if len(text) >= _SHORTEST)


def environment_secrets() -> tuple[str, ...]:
    """The values of the environment's variables that are named like credentials, the longest first."""
    found = {value for name, value in os.environ.items() if len(value) >= _SHORTEST and is_secret_name(name)}
    return tuple(sorted(found, key=len, reverse=True))


def lm_keys() -> tuple[str, ...]:
    """Keys of LMs, the longest first: those of this process's runs, and the environment's `…_API_KEY`. What stands in
    for one where none is needed ("not-needed", "lm-studio") is shorter, and may be a word of any text.
    """
    named = {value for name, value in os.environ.items() if name.upper().endswith("API_KEY")}
    return tuple(sorted((key for key in {*named, *_kept} if len(key) >= _SHORTEST_KEY), key=len, reverse=True))


def without_secrets(text: str) -> str:
    """The text with credentials blotted out: those of the environment, and what looks like one.

    Providers repeat the key they refuse in their error, which generated code and the record of a run get to see.
    """
    for value in (*environment_secrets(), *_kept):
        text = text.replace(value, "[secret]")
    return _SECRET.sub("[secret]", text)


def harmless(text: str) -> str:
    """The text with dspy's marks broken up by a space, and encodable."""
    return _FIELD_HEADER.sub("[ [", _CUSTOM_TYPE.sub("< <", encodable(text)))


def harmless_value(value: Any) -> Any:
    """The same for every text in a value of JSON's kinds."""
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, list):
        return [harmless_value(item) for item in value]
    if isinstance(value, dict):
        return {key: harmless_value(item) for key, item in value.items()}
    return value


def clip(text: str, limit: int) -> str:
    """The text, with its middle left out where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    head = limit - limit // 2
    tail = text[len(text) - limit // 2 :]
    return f"{text[:head]}\n... [{len(text) - limit:,} of {len(text):,} characters omitted] ...\n{tail}"
