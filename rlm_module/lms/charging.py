"""The LM of a tool, paid for like the run's own calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rlm_module.lms.accounts import current_account


def charged(lm: Any, *, counts: bool = False) -> Any:
    """An LM as a tool may call it, so that the run pays for it beforehand. Outside of a run it is the LM itself.

    Args:
        lm: The LM.
        counts: Whether each call takes one of the run's sub-calls, as `llm_query` does.
    """
    account = current_account()
    if account is None or lm is None:
        return lm
    return (replace(account, allowance=account.ledger.calls) if counts else account).lm(lm)
