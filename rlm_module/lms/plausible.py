"""Whether the usage that a provider reports can be true, and what to book where it cannot."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

MOST_TOKENS = 100_000_000
"""No call uses more: the largest windows hold a hundredth of it."""

_TEXT_SLACK, _MEDIA_SLACK = 20_000, 2_000_000
_HIDDEN_REASONING = 500_000
_FACTOR = 2


def tokens_of(usage: Mapping[str, Any], *kinds: str) -> int | None:
    """Tokens of a usage entry, which names them by provider (`prompt_tokens`, `input_tokens`); None where what it
    says cannot be a number of tokens. What it does not say is 0.
    """
    given = next((usage[f"{kind}_tokens"] for kind in kinds if usage.get(f"{kind}_tokens") is not None), 0)
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not math.isfinite(given):
        return None
    return int(given) if 0 <= given <= MOST_TOKENS else None


def cost_of(given: Any) -> float | None:
    """A cost in US dollars; None where it is not known, or cannot be one."""
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return None
    return float(given) if math.isfinite(given) and given >= 0 else None


def can_be(prompt_tokens: int, completion_tokens: int, *, prompt: Any, reply: str, limit: int | None) -> bool:
    """Whether one call can have used this much. A token is a byte at least, and a reply ends at its limit.

    Args:
        prompt_tokens: What the provider says of the prompt.
        completion_tokens: What it says of the reply, reasoning that is not shown included.
        prompt: What was sent.
        reply: The text that came back.
        limit: Longest reply in tokens; None where none was set.
    """
    size, has_media = _size(prompt)
    most_prompt = _FACTOR * size + (_MEDIA_SLACK if has_media else _TEXT_SLACK)
    hidden = _HIDDEN_REASONING if limit is None else _FACTOR * limit
    most_reply = _FACTOR * len(reply.encode("utf-8", "replace")) + hidden + 1_000
    return prompt_tokens <= most_prompt and completion_tokens <= most_reply


def _size(prompt: Any) -> tuple[int, bool]:
    """Bytes of what was sent, and whether it may stand for something longer, as the address of a picture does."""
    if isinstance(prompt, str):
        return len(prompt.encode("utf-8", "replace")), False
    if isinstance(prompt, (list, tuple)) and all(
        isinstance(item, Mapping) and isinstance(item.get("content"), str) for item in prompt
    ):
        return sum(len(item["content"].encode("utf-8", "replace")) for item in prompt), False
    return len(json.dumps(prompt, default=str)), True
