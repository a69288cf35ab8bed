"""The ledger of a run tree: what may still be spent, and what was spent on which LM in which role."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from rlm_module.events import Role, Usage


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The LM usage of a run and of all it started.

    Args:
        total: Everything together.
        by_role: Split by what the calls were for; roles without a call are left out.
        by_model: Split by model name.
    """

    total: Usage = field(default_factory=Usage)
    by_role: Mapping[Role, Usage] = field(default_factory=dict)
    by_model: Mapping[str, Usage] = field(default_factory=dict)


class Ledger:
    """Counts the sub-calls of a run tree against their limit and adds up usage; safe to share between threads.

    Args:
        max_calls: Sub-calls that the tree may make.
    """

    def __init__(self, max_calls: int) -> None:
        self.max_calls = max_calls
        self._used = 0
        self._spent: dict[tuple[Role, str], Usage] = {}
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Sub-calls that may still be made."""
        return max(0, self.max_calls - self._used)

    def reserve(self, calls: int = 1) -> int:
        """Takes up to `calls` sub-calls out of what is left, before they are made.

        Returns:
            How many of them may be made, from the first on.
        """
        with self._lock:
            granted = min(calls, self.left)
            self._used += granted
            return granted

    def settle(self, role: Role, spent: Mapping[str, Usage]) -> None:
        """Books what calls of one role have used, by model."""
        with self._lock:
            for model, usage in spent.items():
                key = role, model
                self._spent[key] = self._spent.get(key, Usage()) + usage

    def report(self) -> UsageReport:
        """What has been spent up to now."""
        total = Usage()
        by_role: dict[Role, Usage] = {}
        by_model: dict[str, Usage] = {}
        with self._lock:
            for (role, model), usage in self._spent.items():
                total += usage
                by_role[role] = by_role.get(role, Usage()) + usage
                by_model[model] = by_model.get(model, Usage()) + usage
        return UsageReport(total, by_role, by_model)
