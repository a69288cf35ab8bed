"""LM calls that nobody has reserved anything for: seen where dspy tells of them, and charged afterwards."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import Any

import dspy
from dspy.utils.callback import BaseCallback

from rlm_module.host.subcalls import model_name
from rlm_module.lms.accounts import Account, PaidLM
from rlm_module.lms.ledger import Ledger
from rlm_module.lms.meter import Meter
from rlm_module.lms.paid_calls import PaidCall

logger = logging.getLogger(__name__)


class Unreserved(BaseCallback):
    """Charges an account for the calls of LMs that came another way than through a `PaidLM`.

    dspy does not let a callback refuse a call. So these are counted once they are made, and what comes after them finds
    that much less.

    Args:
        account: Who pays.
        outer: The one of the block around it, which this one stands in for.
    """

    def __init__(self, account: Account, outer: Unreserved | None = None) -> None:
        self._account = account
        self._warned: set[str] = outer._warned if outer else set()
        self._under_way: dict[str, tuple[PaidCall, AbstractContextManager[None]]] = {}

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Begins to measure a call that no account pays for."""
        if isinstance(instance, PaidLM) or self._is_paid():
            return
        self._warn(instance)
        given = {name: value for name, value in inputs.items() if name != "kwargs" and value is not None}
        call = PaidCall(instance, self._account, (), {**given, **inputs.get("kwargs", {})})
        made = call.made()
        made.__enter__()
        self._under_way[call_id] = call, made

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """Books it."""
        if call_id not in self._under_way:
            return
        call, made = self._under_way.pop(call_id)
        call.ended(outputs)
        made.__exit__(None if exception is None else type(exception), exception, None)

    def _is_paid(self) -> bool:
        """Whether it is made for a call, or within a run, whose ledger is below this one or above it."""
        meter, ledger = dspy.settings.usage_tracker, self._account.ledger
        while isinstance(meter, Meter):
            owner = meter.owner
            if isinstance(owner, Ledger) and (owner.reaches(ledger) or ledger.reaches(owner)):
                return True
            meter = meter.outer
        return False

    def _warn(self, lm: Any) -> None:
        name = model_name(lm)
        if self._account.ledger.budget.limits_spending and name not in self._warned:
            self._warned.add(name)
            logger.warning(
                "%s was called past the `spending` block around it, whose budget learns of that only afterwards and "
                "may be exceeded; give `spent.lm(lm)` instead of the LM to predictors and to dspy.context.",
                name,
            )


def seeing_unreserved(account: Account) -> list[Any]:
    """dspy's callbacks of now, with one that charges this account instead of the one of a block around it."""
    callbacks: list[Any] = list(dspy.settings.get("callbacks") or [])
    outer = next((callback for callback in callbacks if isinstance(callback, Unreserved)), None)
    return [*(callback for callback in callbacks if callback is not outer), Unreserved(account, outer)]
