from __future__ import annotations

from typing import Any

import pytest

from rlm_module import Budget
from rlm_module.errors import InputError


@pytest.mark.parametrize("limit", ["cost_usd", "tokens", "seconds", "root_tokens", "sub_tokens"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_of_nothing_is_refused_in_one_sentence(limit: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"Budget's {limit} must be above 0, not .*; leave it out for no limit"):
        Budget(**{limit: value})


@pytest.mark.parametrize("price", [(1.0,), (1.0, -1.0), (float("nan"), 1.0)])
def test_a_price_is_two_amounts(price: Any) -> None:
    with pytest.raises(InputError, match="price of 'm' must be two amounts"):
        Budget(prices={"m": price})


def test_time_is_kept_for_an_answer() -> None:
    assert Budget(seconds=10).extract_seconds == pytest.approx(1.5)
    assert Budget(seconds=3600).extract_seconds == 30
    assert Budget().extract_seconds == 0
