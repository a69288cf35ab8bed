"""The ledger of a run tree: a call reserves the most it can cost before it is made, and settles what it used.

Siblings and children share it, so that no two of them count on the same money. Amounts are kept in whole
trillionths of a dollar, in which sums are exact.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

from rlm_module.budget import UNLIMITED, Budget
from rlm_module.errors import LimitReached
from rlm_module.events import Role, Usage

_PICO = 10**12
_EXTRACT_PART = 3
"""At most one in this many parts of a budget is kept for drawing up an answer."""


@dataclass(frozen=True, slots=True)
class Need:
    """The most that a call can use.

    Args:
        tokens: Prompt tokens and the longest reply.
        cost_usd: Their price.
    """

    tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The LM usage of a run and of all it started.

    Args:
        total: Everything together.
        by_role: Split by what the calls were for; roles without a call are left out.
        by_model: Split by model name.
        by_depth: Split by the depth of the RLM that made them.
    """

    total: Usage = field(default_factory=Usage)
    by_role: Mapping[Role, Usage] = field(default_factory=dict)
    by_model: Mapping[str, Usage] = field(default_factory=dict)
    by_depth: Mapping[int, Usage] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Hold:
    """What a call has reserved; it is given back when the call is settled."""

    tokens: int
    pico: int
    is_final: bool = False


class Allowance:
    """Sub-calls that an RLM and all below it may make.

    Args:
        limit: How many.
        parent: The allowance out of which they are taken, too.
    """

    def __init__(self, limit: int, parent: Allowance | None = None) -> None:
        self.limit = limit
        self._parent = parent
        self._used = 0
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Sub-calls that may still be made."""
        own = max(0, self.limit - self._used)
        return own if self._parent is None else min(own, self._parent.left)

    def reserve(self, calls: int = 1) -> int:
        """Takes up to `calls` sub-calls out of what is left, before they are made.

        Returns:
            How many of them may be made, from the first on.
        """
        with self._lock:
            granted = min(calls, max(0, self.limit - self._used))
            if self._parent is not None:
                granted = self._parent.reserve(granted)
            self._used += granted
            return granted


@dataclass(slots=True)
class _Waiting:
    hold: Hold
    granted: Future[Hold]


class Ledger:
    """The only way to spend, safe to share between threads.

    Args:
        max_calls: Sub-calls and turns of children that the tree may make.
        budget: What the tree may spend.
    """

    def __init__(self, max_calls: int, budget: Budget = UNLIMITED) -> None:
        self.calls = Allowance(max_calls)
        self.budget = budget
        self._tokens = self._pico = 0
        self._holds: set[Hold] = set()
        self._waiting: deque[_Waiting] = deque()
        self._kept = Hold(0, 0)
        self._spent: dict[tuple[Role, str, int], Usage] = {}
        self._lock = threading.RLock()
        self.stopped = threading.Event()

    @property
    def tokens_left(self) -> int | None:
        """Tokens that are neither spent, nor reserved, nor kept for the end; None if they are not limited."""
        if self.budget.tokens is None:
            return None
        with self._lock:
            return max(0, self.budget.tokens - self._taken("tokens") - self._kept.tokens)

    @property
    def cost_left(self) -> float | None:
        """The same for US dollars."""
        if self.budget.cost_usd is None:
            return None
        with self._lock:
            return max(0, self._limit_pico - self._taken("pico") - self._kept.pico) / _PICO

    def keep(self, need: Need) -> None:
        """Keeps a slice for drawing up an answer, which only a final call may use: what that needs, and no more than
        a third of the budget.
        """
        with self._lock:
            tokens = min(need.tokens, (self.budget.tokens or 0) // _EXTRACT_PART)
            pico = min(_pico(need.cost_usd), self._limit_pico // _EXTRACT_PART)
            self._kept = Hold(tokens, pico)

    def admit(self, need: Need, *, is_final: bool = False) -> Future[Hold]:
        """Reserves what a call may use. One that does not fit waits while others hold reservations.

        Args:
            need: The most it can use.
            is_final: Whether it draws up the run's answer, for which a slice is kept.

        Returns:
            A future that fails with LimitReached where the call does not fit and nothing is held that could be freed.
        """
        hold = Hold(need.tokens, _pico(need.cost_usd), is_final)
        granted: Future[Hold] = Future()
        with self._lock:
            if self.stopped.is_set() and not is_final:
                granted.cancel()
                return granted
            if is_final:  # the others are not worth waiting for any more
                self._waiting.appendleft(_Waiting(hold, granted))
            else:
                self._waiting.append(_Waiting(hold, granted))
            settled = self._serve()
        _tell(settled)
        return granted

    def stop(self) -> None:
        """Refuses all that waits and all that comes, but for drawing up the answer: their futures are cancelled."""
        with self._lock:
            self.stopped.set()
            refused, self._waiting = self._waiting, deque(w for w in self._waiting if w.hold.is_final)
        for waiting in refused:
            if not waiting.hold.is_final:
                waiting.granted.cancel()

    def settle(self, role: Role, spent: Mapping[str, Usage], depth: int = 0, hold: Hold | None = None) -> None:
        """Books what a call has used, by model, and gives back what it had reserved."""
        with self._lock:
            for model, usage in spent.items():
                key = role, model, depth
                self._spent[key] = self._spent.get(key, Usage()) + usage
                self._tokens += usage.tokens
                self._pico += _pico(usage.cost_usd or 0.0)
            if hold is not None:
                self._holds.discard(hold)
            settled = self._serve()
        _tell(settled)

    def report(self) -> UsageReport:
        """What has been spent up to now."""
        total = Usage()
        by_role: dict[Role, Usage] = {}
        by_model: dict[str, Usage] = {}
        by_depth: dict[int, Usage] = {}
        with self._lock:
            for (role, model, depth), usage in self._spent.items():
                total += usage
                by_role[role] = by_role.get(role, Usage()) + usage
                by_model[model] = by_model.get(model, Usage()) + usage
                by_depth[depth] = by_depth.get(depth, Usage()) + usage
        return UsageReport(total, by_role, by_model, by_depth)

    @property
    def _limit_pico(self) -> int:
        return math.floor((self.budget.cost_usd or 0.0) * _PICO)

    def _taken(self, what: Literal["tokens", "pico"]) -> int:
        spent = self._tokens if what == "tokens" else self._pico
        return spent + sum(getattr(hold, what) for hold in self._holds)

    def _lacking(self, hold: Hold) -> Literal["cost", "tokens"] | None:
        kept = Hold(0, 0) if hold.is_final else self._kept
        if self.budget.cost_usd is not None and self._taken("pico") + kept.pico + hold.pico > self._limit_pico:
            return "cost"
        if self.budget.tokens is not None and self._taken("tokens") + kept.tokens + hold.tokens > self.budget.tokens:
            return "tokens"
        return None

    def _serve(self) -> list[tuple[_Waiting, LimitReached | None]]:
        """Whom to tell what: the first that waits is granted or refused or goes on waiting, and so on in order."""
        settled: list[tuple[_Waiting, LimitReached | None]] = []
        while self._waiting:
            first = self._waiting[0]
            lacking = self._lacking(first.hold)
            is_hopeless = first.hold.is_final and self.stopped.is_set()  # what is held may never be given back
            if lacking is not None and self._holds and not is_hopeless and not first.granted.cancelled():
                break
            self._waiting.popleft()
            if not first.granted.set_running_or_notify_cancel():
                continue
            if lacking is None:
                self._holds.add(first.hold)
            settled.append((first, None if lacking is None else LimitReached(lacking)))
        return settled


def _tell(settled: list[tuple[_Waiting, LimitReached | None]]) -> None:
    # Outside the lock: a waiter's callback may come back here.
    for waiting, refusal in settled:
        if refusal is None:
            waiting.granted.set_result(waiting.hold)
        else:
            waiting.granted.set_exception(refusal)


def _pico(cost_usd: float) -> int:
    return math.ceil(cost_usd * _PICO)
