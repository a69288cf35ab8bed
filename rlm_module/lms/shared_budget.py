"""One budget for all that a program does: runs side by side and one after another, and other LM calls between them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dspy

from rlm_module.budget import Budget, check_budget
from rlm_module.lms.accounts import SPENDING, Account, PaidLM
from rlm_module.lms.books import Conversations, Twins
from rlm_module.lms.ledger import Ledger, UsageReport
from rlm_module.lms.prices import check_priced
from rlm_module.lms.unreserved import seeing_unreserved
from rlm_module.waiting import Deadline


@dataclass(frozen=True, slots=True)
class Left:
    """What may still be spent; None where there is no limit.

    Args:
        cost_usd: US dollars.
        tokens: Prompt and completion tokens.
        seconds: Wall time.
    """

    cost_usd: float | None
    tokens: int | None
    seconds: float | None


class Spent:
    """What a program spends within a `spending` block.

    Args:
        budget: What it may spend.
        outer: The block around it, which pays for it, too.
    """

    def __init__(self, budget: Budget, outer: Spent | None = None) -> None:
        self.budget = budget
        self.ledger = Ledger(0, budget, outer.ledger if outer else None)
        deadline = Deadline.of(budget)
        self.deadline = deadline.sooner(outer.deadline) if outer else deadline
        self.account = Account(
            ledger=self.ledger,
            journal=None,
            twins=Twins(),
            conversations=Conversations(),
            role="other",
            deadline=self.deadline,
        )

    @property
    def usage(self) -> UsageReport:
        """What was spent up to now, by runs and by others (role `other`); not what a run spent before it resumed."""
        return self.ledger.report()

    @property
    def left(self) -> Left:
        """What is neither spent, nor reserved by calls under way, nor kept for the answers of runs."""
        return Left(self.ledger.cost_left, self.ledger.tokens_left, self.deadline.left())

    def lm(self, lm: Any) -> PaidLM:
        """An LM whose calls are paid for here, for predictors and for whatever else takes an LM.

        A call that cannot be paid waits while others are under way whose reservation it may get, and else raises
        `LimitReached`. Within a run, that pays for it. RLMs may be given it as well as the LM itself.

        Raises:
            InputError: If its price is not known where money is limited.
        """
        check_priced({"": lm}, self.ledger.budget)
        return self.account.lm(lm)


@contextmanager
def spending(budget: Budget) -> Generator[Spent]:
    """Sets one budget for all RLM runs that begin inside, on threads that dspy starts, too, and for the LM that dspy is
    configured with. A predictor that has an LM of its own is to be given `spent.lm(its LM)`, as is a `dspy.context`
    within. A call of an LM that comes another way is counted once it is made, but cannot be refused; a warning tells
    of it where money or tokens are limited.

    A run has its own budget as well. Where the one that is shared has too little left for it, it ends as it would by
    its own, with a part kept for its answer. One that cannot pay for its first turn raises `FatalError`.

    Args:
        budget: What all together may spend. Its time counts from here; a run's prices go before its own.

    Yields:
        What was spent and what is left, up to date.

    Raises:
        InputError: If it is no budget, or the price of dspy's LM is not known where money is limited.
    """
    check_budget(budget)
    spent = Spent(budget, current_spending())
    lm = dspy.settings.lm
    settings: dict[str, Any] = {SPENDING: spent, "callbacks": seeing_unreserved(spent.account)}
    if lm is not None:
        settings["lm"] = spent.lm(lm)
    with dspy.context(**settings):
        yield spent


def current_spending() -> Spent | None:
    """That of the innermost block around this."""
    return dspy.settings.get(SPENDING)
