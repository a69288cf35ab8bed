"""Measures what the LM calls made within a scope use, also across threads that copy its context."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.usage_tracker import UsageTracker

from rlm_module.events import Usage
from rlm_module.lms.plausible import cost_of, tokens_of

_PROMPT, _COMPLETION = ("prompt", "input"), ("completion", "output")


class Meter(UsageTracker):
    """A usage tracker that passes everything on to the one around it, and also learns of costs and cached calls.

    dspy reports a finished call twice, on the thread that made it: its usage to the tracker, unless the reply came
    from the cache, then a history entry with the cost to each calling module. The meter stands in both places.

    Args:
        owner: Whose books it is for. Meters of the same owner around it don't learn of what it measures, so that
            nothing is booked twice.

    `is_wrong` tells that a provider has reported tokens that cannot be. They count as none, their price as unknown.
    """

    def __init__(self, owner: object = None) -> None:
        super().__init__()
        self.owner = owner
        self.history = _Entries(self)
        self.last_entry: Mapping[str, Any] | None = None
        self.outer: UsageTracker | None = dspy.settings.usage_tracker
        while isinstance(self.outer, Meter) and self._is_sibling(self.outer):
            self.outer = self.outer.outer
        self._spent: dict[str, Usage] = {}
        self._unpriced: dict[int, Mapping[str, Any]] = {}
        self._lost = 0
        self.is_wrong = False
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> Meter:
        """dspy.Parallel copies the tracker for each of its threads, whose usage would be lost here."""
        return self

    @contextmanager
    def scope(self) -> Generator[Meter]:
        """Measures the calls made within, in this context and in copies of it."""
        callers = dspy.settings.caller_modules or []
        modules = [*(caller for caller in callers if not self._is_sibling(caller)), self]
        with dspy.context(usage_tracker=self, caller_modules=modules):
            yield self

    @property
    def spent(self) -> dict[str, Usage]:
        """Usage by model; the cost is None once a call's price is not known."""
        with self._lock:
            spent = dict(self._spent)
            unknown = self._lost + len(self._unpriced)
        if unknown:
            spent = {model: usage + Usage(cost_usd=None) for model, usage in spent.items()}
        return spent

    @property
    def usage(self) -> Usage:
        """Usage of all models together."""
        return sum(self.spent.values(), Usage())

    def add_usage(self, lm: str, usage_entry: dict[str, Any]) -> None:
        """Takes in the usage of a call that was paid for."""
        self._learn(lm, usage_entry, ())

    def _learn(self, lm: str, usage_entry: dict[str, Any], owners: tuple[object, ...]) -> None:
        """The same, on behalf of owners whose meters further out have it booked already."""
        owners, outer = (*owners, self.owner), self.outer
        while isinstance(outer, Meter) and outer.owner is not None and outer.owner in owners:
            outer = outer.outer
        if isinstance(outer, Meter):
            outer._learn(lm, usage_entry, owners)
        elif outer is not None:
            outer.add_usage(lm, usage_entry)
        with self._lock:
            self._lost += self._unpriced.pop(threading.get_ident(), None) is not None
            self._unpriced[threading.get_ident()] = usage_entry
            prompt, completion = tokens_of(usage_entry, *_PROMPT), tokens_of(usage_entry, *_COMPLETION)
            self.is_wrong |= prompt is None or completion is None
            self._add(lm, Usage(1, 0, prompt or 0, completion or 0))

    def take(self, entry: Mapping[str, Any]) -> None:
        """Takes in the history entry of a call."""
        with self._lock:
            self.last_entry = entry
            paid = self._unpriced.get(threading.get_ident())
            if paid is not None and paid == entry.get("usage"):
                del self._unpriced[threading.get_ident()]
                # An engine prices what is reported; of tokens that are none, or not known, that is no price.
                is_told = bool(tokens_of(paid, *_PROMPT)) and tokens_of(paid, *_COMPLETION) is not None
                self._add(entry["model"], Usage(cost_usd=cost_of(entry.get("cost")) if is_told else None))
            else:
                self._add(entry["model"], Usage(calls=1, cached_calls=1))

    def _is_sibling(self, other: object) -> bool:
        return isinstance(other, Meter) and other.owner is not None and other.owner is self.owner

    def _add(self, model: str, usage: Usage) -> None:
        self._spent[model] = self._spent.get(model, Usage()) + usage


class _Entries:
    """The `history` list that dspy appends a calling module's entries to; the entries are not kept."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __len__(self) -> int:
        return 0

    def append(self, entry: Mapping[str, Any]) -> None:
        self._meter.take(entry)
