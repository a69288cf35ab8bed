"""When a compile ends: what may be spent, what is kept for the last validation, and when no more is to be hoped for."""

from __future__ import annotations

from typing import Any

from rlm_module.errors import RLMError


class Exhausted(RLMError):
    """What was about to be run cannot be paid; the best that was found so far is returned.

    Args:
        reason: Which limit, in a few words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Allowance:
    """Program runs and money of a compile. What the journal answers counts as when it was paid for.

    Args:
        max_runs: Program runs; None for no limit.
        max_cost_usd: US dollars for program runs and reflection together; None for no limit.
    """

    def __init__(self, max_runs: int | None, max_cost_usd: float | None) -> None:
        self.max_runs = max_runs
        self.max_cost_usd = max_cost_usd
        self.kept_runs = 0
        """Runs that only the last validation may use."""
        self.runs = self.reflections = 0
        self._run_costs: float | None = 0.0
        self._reflection_costs: float | None = 0.0

    @property
    def reflection_cost_usd(self) -> float | None:
        """What reflection cost; None where a price is not known."""
        return self._reflection_costs

    @property
    def cost_usd(self) -> float | None:
        """What all cost together; None where a price is not known."""
        return _sum(self._run_costs, self._reflection_costs)

    @property
    def runs_left(self) -> int | None:
        """Program runs that may still be made; None for no limit."""
        return None if self.max_runs is None else max(0, self.max_runs - self.kept_runs - self.runs)

    def can_run(self, runs: int) -> bool:
        """Whether so many program runs can be paid."""
        left = self.runs_left
        return (left is None or runs <= left) and not self._is_broke

    def admit(self, runs: int) -> None:
        """To be asked before program runs are made.

        Raises:
            Exhausted: If not all of them can be paid.
        """
        if not self.can_run(runs):
            raise Exhausted("money" if self._is_broke else "program runs")

    def admit_reflection(self) -> None:
        """To be asked before the reflection model is called.

        Raises:
            Exhausted: If no money is left.
        """
        if self._is_broke:
            raise Exhausted("money")

    def book_run(self, cost_usd: float | None) -> None:
        """Counts a program run."""
        self.runs += 1
        self._run_costs = _sum(self._run_costs, cost_usd)

    def book_reflection(self, cost_usd: float | None) -> None:
        """Counts a call of the reflection model."""
        self.reflections += 1
        self._reflection_costs = _sum(self._reflection_costs, cost_usd)

    @property
    def _is_broke(self) -> bool:
        known = (self._run_costs or 0.0) + (self._reflection_costs or 0.0)
        return self.max_cost_usd is not None and known >= self.max_cost_usd


class Stopper:
    """Tells gepa, between proposals, that it is over.

    Args:
        allowance: What may be spent.
        patience: Proposals in a row that may fail; None for no limit.
    """

    def __init__(self, allowance: Allowance, patience: int) -> None:
        self._allowance = allowance
        self._patience = patience
        self._failed = 0
        self.reason = ""

    def succeeded(self) -> None:
        """A candidate was accepted."""
        self._failed = -1  # the end of its iteration counts, too

    def ended(self) -> None:
        """An iteration ended."""
        self._failed += 1

    def stop(self, reason: str) -> None:
        """Ends the compile with the iteration that is on."""
        self.reason = self.reason or reason

    def __call__(self, gepa_state: Any) -> bool:
        """Whether it is over."""
        if not self.reason and not self._allowance.can_run(1):
            self.reason = "money" if self._allowance.can_run(0) is False else "program runs"
        if not self.reason and self._failed >= self._patience:
            self.reason = "plateau"
        return bool(self.reason)


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
