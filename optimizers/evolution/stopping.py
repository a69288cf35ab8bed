"""When a compile ends: what may be spent, what is kept for the last validation, and when no more is to be hoped for."""

from __future__ import annotations

from typing import Any

from rlm_module.errors import RLMError

_MOST_PROPOSALS = 2_000
"""A compile whose runs cost nothing has an end, too."""


class Exhausted(RLMError):
    """What was about to be run cannot be paid; the best that was found so far is returned.

    Args:
        reason: Which limit, in a few words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Allowance:
    """Program runs and money of a compile. What the journal answers counts as it did when it was paid for.

    Args:
        max_runs: Program runs; None for no limit.
        max_cost_usd: US dollars for program runs and reflection together; None for no limit.
        lost_run_usd: What runs cost of which the journal tells nothing but that.
        lost_reflection_usd: The same for calls of the reflection model.
    """

    def __init__(
        self,
        max_runs: int | None,
        max_cost_usd: float | None,
        lost_run_usd: float = 0.0,
        lost_reflection_usd: float = 0.0,
    ) -> None:
        self.max_runs = max_runs
        self.max_cost_usd = max_cost_usd
        self.kept_runs = 0
        """Runs that only the last validation may use, and their money."""
        self.runs = self.reflections = 0
        self._lost = lost_run_usd
        self._run_costs: float | None = 0.0
        self._reflection_costs: float | None = lost_reflection_usd

    @property
    def reflection_cost_usd(self) -> float | None:
        """What reflection cost; None where a price is not known."""
        return self._reflection_costs

    @property
    def cost_usd(self) -> float | None:
        """What all cost together; None where a price is not known."""
        return plus(plus(self._run_costs, self._lost), self._reflection_costs)

    def lacking(self, runs: int) -> str | None:
        """Which limit so many more program runs would break, in a few words; None for none."""
        runs += self.kept_runs
        if self.max_runs is not None and self.runs + runs > self.max_runs:
            return "program runs"
        mean = (self._run_costs or 0.0) / max(1, self.runs)
        if self.max_cost_usd is not None and self._spent + max(mean * runs, 1e-12) > self.max_cost_usd:
            return "money"
        return None

    def can_run(self, runs: int) -> bool:
        """Whether so many more program runs can be paid, by what they cost in the mean."""
        return self.lacking(runs) is None

    def admit(self, runs: int) -> None:
        """To be asked before program runs are made.

        Raises:
            Exhausted: If not all of them can be paid.
        """
        if (reason := self.lacking(runs)) is not None:
            raise Exhausted(reason)

    def admit_reflection(self) -> None:
        """To be asked before the reflection model is called.

        Raises:
            Exhausted: If no money is left.
        """
        if self.max_cost_usd is not None and self._spent >= self.max_cost_usd:
            raise Exhausted("money")

    def book_run(self, cost_usd: float | None) -> None:
        """Counts a program run."""
        self.runs += 1
        self._run_costs = plus(self._run_costs, cost_usd)

    def book_reflection(self, cost_usd: float | None) -> None:
        """Counts a call of the reflection model."""
        self.reflections += 1
        self._reflection_costs = plus(self._reflection_costs, cost_usd)

    @property
    def _spent(self) -> float:
        return (self._run_costs or 0.0) + self._lost + (self._reflection_costs or 0.0)


class Stopper:
    """Tells gepa, between proposals, that it is over.

    Args:
        allowance: What may be spent.
        patience: Proposals in a row that may come to nothing.
    """

    def __init__(self, allowance: Allowance, patience: int) -> None:
        self._allowance = allowance
        self._patience = patience
        self._failed = self._ended = 0
        self._has_succeeded = False
        self.reason = ""

    def succeeded(self) -> None:
        """The proposal at hand was accepted."""
        self._has_succeeded = True

    def ended(self) -> None:
        """The proposal at hand is done with."""
        self._failed = 0 if self._has_succeeded else self._failed + 1
        self._has_succeeded = False
        self._ended += 1

    def stop(self, reason: str) -> None:
        """Ends the compile with the proposal at hand."""
        self.reason = self.reason or reason

    def __call__(self, gepa_state: Any) -> bool:
        """Whether it is over."""
        if lacking := self._allowance.lacking(1):
            self.stop(lacking)
        if self._failed >= self._patience or self._ended >= _MOST_PROPOSALS:
            self.stop("no better candidate for a while")
        return bool(self.reason)


def plus(one: float | None, other: float | None) -> float | None:
    """The sum of two costs; None where one is not known."""
    return None if one is None or other is None else one + other
