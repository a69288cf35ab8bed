"""What an LM charges and holds: its price, its context window, and the most that a call of it can use."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.clients.model_metadata import model_info, rate

from rlm_module.budget import Budget
from rlm_module.errors import UnknownPriceError
from rlm_module.events import Role, Usage
from rlm_module.host.subcalls import model_name
from rlm_module.lms.ledger import Need

_LOCAL_PRICES = "LITELLM_LOCAL_MODEL_COST_MAP"
_MARGIN = 1.15
_MESSAGE_TOKENS = 16
_COUNTED_CHARS = 2_000_000
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_PROMPT_RATES = ("input_cost_per_token", "cache_creation_input_token_cost")
_LONG_PROMPT = re.compile(r"(\w+?)_above_(\d+)k_tokens")
_REPLY_RATES = ("output_cost_per_token", "output_cost_per_reasoning_token")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per prompt token and per completion token, the dearest that may apply."""

    prompt: float
    completion: float

    def of(self, usage: Usage) -> float:
        """What this usage costs."""
        return usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion


def listed_price(lm: Any, budget: Budget) -> Price | None:
    """The price that the user gave for an LM."""
    name = model_name(lm)
    found = budget.prices.get(name, budget.prices.get(name.rpartition("/")[2]))
    return None if found is None else Price(found[0] / 1e6, found[1] / 1e6)


def price_of(lm: Any, budget: Budget, prompt_tokens: int = 0) -> Price | None:
    """The user's price for an LM, else the one that dspy or litellm knows; None if nobody knows one.

    Args:
        lm: The LM.
        budget: Holds the user's prices.
        prompt_tokens: Length of the prompt: some models charge more for long ones.
    """
    return listed_price(lm, budget) or _known_price(_metadata(lm), prompt_tokens)


def price_list(lms: Mapping[str, Any], budget: Budget) -> dict[str, str]:
    """Named LMs, each with its price per million prompt and completion tokens, empty where that is not known."""
    prices = {name: price_of(lm, budget) for name, lm in lms.items()}
    return {
        name: "" if price is None else f"${price.prompt * 1e6:.2f} / ${price.completion * 1e6:.2f}"
        for name, price in prices.items()
    }


def window_of(lm: Any) -> int | None:
    """Tokens that an LM's prompt may have, None if that is not known."""
    found = _metadata(lm).get("max_input_tokens")
    return found if isinstance(found, int) and found > 0 else None


def check_priced(lms: Mapping[str, Any], budget: Budget) -> None:
    """Refuses a budget of money that could not be held.

    Raises:
        UnknownPriceError: If the price of an LM is not known.
    """
    if budget.cost_usd is None:
        return
    for lm in lms.values():
        if lm is not None and price_of(lm, budget) is None:
            name = model_name(lm)
            raise UnknownPriceError(
                f"The price of {name!r} is not known, so cost_usd could not be held; give it as "
                f"Budget(prices={{{name!r}: (dollars per million prompt tokens, per million completion tokens)}}).",
                name,
            )


def reply_limit(lm: Any, options: Mapping[str, Any]) -> int | None:
    """The longest reply in tokens that a call asks for, None if it sets no limit."""
    for given in (options, getattr(lm, "kwargs", None) or {}):
        found = next((given[name] for name in _LIMITS if given.get(name)), None)
        if found is not None:
            return int(found)
    return None


def reply_cap(lm: Any, role: Role, budget: Budget) -> int:
    """The longest reply in tokens that a limited budget lets an LM give that sets no limit itself."""
    is_long = role in ("root", "child", "other") or getattr(lm, "supports_reasoning", False)
    return budget.root_tokens if is_long else budget.sub_tokens


def reply_limit_name(lm: Any) -> str:
    """What the option is called that limits an LM's reply."""
    own = getattr(lm, "kwargs", None) or {}
    return next((name for name in _LIMITS if name in own), "max_tokens")


def completions_of(lm: Any, options: Mapping[str, Any]) -> int:
    """How many replies a call asks for."""
    return max(1, int(options.get("n") or (getattr(lm, "kwargs", None) or {}).get("n") or 1))


def worst_case(lm: Any, prompt: Any, options: Mapping[str, Any], limit: int, budget: Budget) -> Need:
    """The most that a call can use.

    Args:
        lm: Whom it goes to.
        prompt: What is sent: a text, messages, or a dspy request.
        options: The call's own options.
        limit: Longest reply in tokens.
        budget: Whose prices count.
    """
    completions = completions_of(lm, options)
    prompt_tokens, reply_tokens = count_tokens(prompt) * completions, limit * completions
    price = price_of(lm, budget, prompt_tokens)
    cost = 0.0 if price is None else prompt_tokens * price.prompt + reply_tokens * price.completion
    return Need(prompt_tokens + reply_tokens, cost)


def count_tokens(prompt: Any) -> int:
    """An upper estimate of a prompt's tokens, for whatever model: a common tokenizer's count and a margin."""
    texts = list(_texts(prompt))
    counted = sum(
        len(text.encode("utf-8", "replace")) if len(text) > _COUNTED_CHARS else _count(text) for text in texts
    )
    return int(counted * _MARGIN) + _MESSAGE_TOKENS * len(texts)


def _count(text: str) -> int:
    return int(_tokenizer().token_counter(model="gpt-4o", text=text)) if text else 0


@functools.cache
def _tokenizer() -> Any:
    """litellm, which takes seconds to import, and fetches a price list then unless it is told not to."""
    is_told = _LOCAL_PRICES in os.environ
    os.environ.setdefault(_LOCAL_PRICES, "True")
    try:
        import litellm
    finally:
        if not is_told:
            del os.environ[_LOCAL_PRICES]
    return litellm


def _texts(prompt: Any) -> list[str]:
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, (list, tuple)):
        return [text for item in prompt for text in _texts(item)]
    if isinstance(prompt, Mapping):
        return [json.dumps(prompt, default=str, ensure_ascii=False)]
    return [] if prompt is None else [str(prompt)]


def _known_price(info: Mapping[str, Any], prompt_tokens: int) -> Price | None:
    prompt, completion = (_dearest(info, kinds, prompt_tokens) for kinds in (_PROMPT_RATES, _REPLY_RATES))
    return None if prompt is None or completion is None else Price(prompt, completion)


def _dearest(info: Mapping[str, Any], kinds: tuple[str, ...], prompt_tokens: int) -> float | None:
    """The highest rate of these kinds; None where the first of them has none."""
    found = [rate(info, kind) for kind in kinds]
    for key in info:
        long_prompt = _LONG_PROMPT.fullmatch(key)
        if long_prompt and long_prompt[1] in kinds and prompt_tokens > int(long_prompt[2]) * 1000:
            found.append(rate(info, key))
    return None if found[0] is None else max(amount for amount in found if amount is not None)


def _metadata(lm: Any) -> Mapping[str, Any]:
    """What an LM says of itself, else what is known of it; litellm's map also holds what a user registered there."""
    own = getattr(lm, "model_metadata", None)
    if isinstance(own, Mapping):
        return own
    name = model_name(lm)
    registered = getattr(sys.modules.get("litellm"), "model_cost", {}).get(name)
    return registered or _listed(name)


@functools.cache
def _listed(name: str) -> Mapping[str, Any]:
    provider, _, model = name.rpartition("/") if name.count("/") < 2 else name.partition("/")
    return model_info(provider or "openai", model)


def is_managed(lm: Any) -> bool:
    """Whether dspy runs an LM's calls itself, with retries of its own."""
    return isinstance(lm, dspy.BaseLM) and hasattr(lm, "_engine_spec")
