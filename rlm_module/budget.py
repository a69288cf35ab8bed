"""What a run tree may spend."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeGuard, TypeVar

from rlm_module.errors import InputError

_EXTRACT_SHARE, _EXTRACT_SECONDS = 0.15, 30.0

_Amount = TypeVar("_Amount", int, float)


def least(one: _Amount | None, other: _Amount | None) -> _Amount | None:
    """The lower of two limits, of which None is no limit."""
    given = [limit for limit in (one, other) if limit is not None]
    return min(given) if given else None


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a whole run tree: an RLM, its sub-calls and its children. What is None is not limited.

    Args:
        cost_usd: US dollars.
        tokens: Prompt and completion tokens together. A call answered from the LM's cache costs neither.
        seconds: Wall time, after which the run ends with the best answer it can draw up.
        prices: US dollars per million prompt tokens and per million completion tokens, by model name. It wins over
            the prices that dspy and litellm know.
        root_tokens: Longest reply of a turn in tokens, for an LM that sets no `max_tokens` itself. Only where cost or
            tokens are limited: a reply has to have an end for its price to have one.
        sub_tokens: The same for sub-calls and extraction.

    Raises:
        InputError: If a limit is not above 0.
    """

    cost_usd: float | None = None
    tokens: int | None = None
    seconds: float | None = None
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    root_tokens: int = 16_000
    sub_tokens: int = 4_000

    def __post_init__(self) -> None:
        for name in ("cost_usd", "tokens", "seconds", "root_tokens", "sub_tokens"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and value > 0):
                raise InputError(f"Budget's {name} must be above 0, not {value!r}; leave it out for no limit.")
        for model, price in self.prices.items():
            if not _is_price(price):
                raise InputError(
                    f"Budget's price of {model!r} must be two amounts of at least 0, US dollars per million prompt and "
                    f"completion tokens, not {price!r}."
                )

    @property
    def limits_spending(self) -> bool:
        """Whether a call has to be priced before it is made."""
        return self.cost_usd is not None or self.tokens is not None

    def within(self, outer: Budget) -> Budget:
        """What calls have to keep to that an outer budget has to pay for, too: the lower limits, and prices of both.
        Time is not part of it, since the outer one's began before.
        """
        caps = self if self.limits_spending else outer
        return replace(
            self,
            cost_usd=least(self.cost_usd, outer.cost_usd),
            tokens=least(self.tokens, outer.tokens),
            prices={**outer.prices, **self.prices},
            root_tokens=caps.root_tokens,
            sub_tokens=caps.sub_tokens,
        )

    @property
    def extract_seconds(self) -> float:
        """The part of `seconds` that is kept for drawing up an answer."""
        return min(_EXTRACT_SECONDS, _EXTRACT_SHARE * self.seconds) if self.seconds is not None else 0.0


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_budget(budget: object) -> None:
    """Refuses what is no budget.

    Raises:
        InputError: Naming what to pass.
    """
    if not isinstance(budget, Budget):
        raise InputError(f"budget must be a Budget, such as Budget(cost_usd=5), not {budget!r}.")


def _is_price(price: object) -> bool:
    amounts: tuple[object, ...] = tuple(price) if isinstance(price, (tuple, list)) else ()
    return len(amounts) == 2 and all(is_number(amount) and amount >= 0 for amount in amounts)


UNLIMITED = Budget()
