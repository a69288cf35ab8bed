"""LM calls of tools and of programs around a run, charged like the run's own: reserved, settled and recorded."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rlm_module.accounts import Account, current_account
from rlm_module.books import Conversations, Twins
from rlm_module.budget import UNLIMITED, Budget
from rlm_module.journal import Journal
from rlm_module.ledger import Ledger, UsageReport

_ANY_NUMBER = 1 << 62


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


class Charges:
    """The books of LM calls that belong to no run.

    Args:
        budget: What they may spend together; a call that does not fit raises `LimitReached`.
    """

    def __init__(self, budget: Budget = UNLIMITED) -> None:
        self._ledger = Ledger(_ANY_NUMBER, budget)

    @contextmanager
    def scope(self) -> Generator[None]:
        """Charges the LM calls made within, also on threads that copy this context. May be entered more than once."""
        journal = Journal(uuid.uuid4().hex)  # what is said is not kept for longer than the scope
        account = Account(
            ledger=self._ledger, journal=journal, twins=Twins(), conversations=Conversations(), role="sub"
        )
        with account.scope():
            yield

    @property
    def report(self) -> UsageReport:
        """What has been spent up to now."""
        return self._ledger.report()
