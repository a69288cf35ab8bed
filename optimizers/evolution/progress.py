"""A line that tells how far a compile has come."""

from __future__ import annotations

from tqdm import tqdm

from rlm_module.optimizers.evolution.stopping import Allowance


class Progress:
    """Program runs, money and the best score so far, on standard error.

    Args:
        allowance: What is spent and may be.
        is_shown: Whether there is a line at all.
    """

    def __init__(self, allowance: Allowance, is_shown: bool) -> None:
        self._allowance = allowance
        self._bar = tqdm(total=allowance.max_runs, desc="RLMGEPA", unit="run", disable=not is_shown, leave=is_shown)
        self._best: float | None = None

    def ran(self) -> None:
        """A program run ended."""
        self._bar.update(1)
        self._tell()

    def scored(self, score: float) -> None:
        """A candidate was validated."""
        self._best = score if self._best is None else max(self._best, score)
        self._tell()

    def close(self) -> None:
        """Leaves the line as it is."""
        self._bar.close()

    def _tell(self) -> None:
        cost, most = self._allowance.cost_usd, self._allowance.max_cost_usd
        told = {} if self._best is None else {"best": f"{self._best:.3f}"}
        if cost is not None:
            told["cost"] = f"${cost:.4f}" + (f" of ${most:g}" if most is not None else "")
        self._bar.set_postfix(told, refresh=False)
