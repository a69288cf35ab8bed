"""What calls have reserved of one budget, and who waits for a reservation. Amounts are kept in whole trillionths of a
dollar, in which sums are exact.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rlm_module.budget import Budget
from rlm_module.errors import LimitReached

_PICO = 10**12
_EXTRACT_PART = 3
"""At most one in this many parts of a budget is kept for drawing up answers."""


@dataclass(frozen=True, slots=True)
class Need:
    """The most that a call can use.

    Args:
        tokens: Prompt tokens and the longest reply.
        cost_usd: Their price.
    """

    tokens: int = 0
    cost_usd: float = 0.0


@dataclass(slots=True, eq=False)
class Hold:
    """What a call has reserved; it is given back when the call is settled.

    Args:
        tokens: Prompt tokens and the longest reply.
        pico: Their price in trillionths of a dollar.
        whose: Who made the reservation, for whom a slice may be kept.
        is_final: Whether the call draws up a run's answer.
        is_left: Whether its run went on without it, so that it may never be given back.
        above: The same in the ledger above.
    """

    tokens: int
    pico: int
    whose: object
    is_final: bool = False
    is_left: bool = False
    above: Hold | None = None

    @classmethod
    def of(cls, need: Need, whose: object, *, is_final: bool) -> Hold:
        """A reservation of that much."""
        return cls(need.tokens, pico(need.cost_usd), whose, is_final)


@dataclass(frozen=True, slots=True)
class _Slice:
    tokens: int
    pico: int


@dataclass(slots=True)
class _Waiting:
    hold: Hold
    granted: Future[Hold]


class Reservations:
    """Those of one budget, safe to share between threads.

    Args:
        budget: What all together may use.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._limit_pico = math.floor((budget.cost_usd or 0.0) * _PICO)
        self._tokens = self._pico = 0
        self._holds: set[Hold] = set()
        self._waiting: deque[_Waiting] = deque()
        self._kept: dict[object, _Slice] = {}
        self._lock = threading.RLock()
        self.stopped = threading.Event()

    @property
    def tokens_left(self) -> int | None:
        """Tokens that are neither spent, nor reserved, nor kept for the end; None if they are not limited."""
        return None if self._budget.tokens is None else self._left("tokens", self._budget.tokens)

    @property
    def cost_left(self) -> float | None:
        """The same for US dollars."""
        return None if self._budget.cost_usd is None else self._left("pico", self._limit_pico) / _PICO

    def keep(self, need: Need, whose: object) -> None:
        """Keeps a slice that only somebody's final calls may use: what they need, but no more than is there, nor than,
        with all other slices, a third of the budget.
        """
        with self._lock:
            others, tokens, limit = self._kept_but_for(whose), self._budget.tokens or 0, self._limit_pico
            self._kept[whose] = _Slice(
                max(0, min(need.tokens, min(tokens // _EXTRACT_PART, tokens - self._tokens) - others.tokens)),
                max(0, min(pico(need.cost_usd), min(limit // _EXTRACT_PART, limit - self._pico) - others.pico)),
            )

    def release(self, whose: object) -> None:
        """Keeps it no longer."""
        with self._lock:
            self._kept.pop(whose, None)
            told = self._serve()
        _tell(told)

    def request(self, hold: Hold) -> Future[Hold]:
        """Reserves it once it fits.

        Returns:
            A future that fails with LimitReached where it does not fit and nothing is held that could be freed.
        """
        granted: Future[Hold] = Future()
        with self._lock:
            if self.stopped.is_set() and not hold.is_final:
                granted.cancel()
                return granted
            if hold.is_final:  # the others are not worth waiting for any more
                self._waiting.appendleft(_Waiting(hold, granted))
            else:
                self._waiting.append(_Waiting(hold, granted))
            told = self._serve()
        _tell(told)
        return granted

    def book(self, tokens: int, cost_usd: float) -> None:
        """Takes note of what was spent."""
        with self._lock:
            self._tokens += tokens
            self._pico += pico(cost_usd)

    def give_back(self, hold: Hold) -> None:
        """Ends a reservation."""
        with self._lock:
            self._holds.discard(hold)
            told = self._serve()
        _tell(told)

    def stop(self) -> list[Hold]:
        """Refuses all that waits and all that comes, but for final calls: their futures are cancelled.

        Returns:
            What calls hold that are under way, for which nobody waits any more.
        """
        with self._lock:
            self.stopped.set()
            refused = [waiting.granted for waiting in self._waiting if not waiting.hold.is_final]
            self._waiting = deque(waiting for waiting in self._waiting if waiting.hold.is_final)
            under_way = [hold for hold in self._holds if not hold.is_final]
        for granted in refused:
            granted.cancel()
        self.leave(under_way)
        return under_way

    def leave(self, holds: Iterable[Hold]) -> None:
        """Takes note that these may never be given back, so that nobody has to wait for them."""
        with self._lock:
            for hold in holds:
                hold.is_left = True
            told = self._serve()
        _tell(told)

    @property
    def held(self) -> list[Hold]:
        """All reservations."""
        with self._lock:
            return list(self._holds)

    def _taken(self, what: Literal["tokens", "pico"]) -> int:
        spent = self._tokens if what == "tokens" else self._pico
        return spent + sum(getattr(hold, what) for hold in self._holds)

    def _left(self, what: Literal["tokens", "pico"], limit: int) -> int:
        with self._lock:
            return max(0, limit - self._taken(what) - getattr(self._kept_but_for(None), what))

    def _kept_but_for(self, whose: object) -> _Slice:
        kept = [kept for owner, kept in self._kept.items() if owner is not whose]
        return _Slice(sum(each.tokens for each in kept), sum(each.pico for each in kept))

    def _lacking(self, hold: Hold) -> Literal["cost", "tokens"] | None:
        limits, kept = self._budget, self._kept_but_for(hold.whose if hold.is_final else None)
        if limits.cost_usd is not None and self._taken("pico") + kept.pico + hold.pico > self._limit_pico:
            return "cost"
        if limits.tokens is not None and self._taken("tokens") + kept.tokens + hold.tokens > limits.tokens:
            return "tokens"
        return None

    def _serve(self) -> list[_Told]:
        """Whom to tell what: the first that waits is granted or refused or goes on waiting, and so on in order."""
        told: list[_Told] = []
        while self._waiting:
            first = self._waiting[0]
            lacking = self._lacking(first.hold)
            can_wait = lacking is not None and any(not hold.is_left for hold in self._holds)
            if can_wait and not first.granted.cancelled():
                break
            self._waiting.popleft()
            if not first.granted.set_running_or_notify_cancel():
                continue
            if lacking is None:
                self._holds.add(first.hold)
            told.append((first, None if lacking is None else LimitReached(lacking)))
        return told


_Told: TypeAlias = "tuple[_Waiting, LimitReached | None]"


class _Telling(threading.local):
    """What a thread has yet to tell: who is told may settle others, and they are told after it, not within."""

    def __init__(self) -> None:
        self.queue: deque[_Told] = deque()
        self.is_busy = False


_telling = _Telling()


def _tell(told: list[_Told]) -> None:
    # Outside the lock: a waiter's callback may come back here.
    _telling.queue.extend(told)
    if _telling.is_busy:
        return
    _telling.is_busy = True
    try:
        while _telling.queue:
            waiting, refusal = _telling.queue.popleft()
            if refusal is None:
                waiting.granted.set_result(waiting.hold)
            else:
                waiting.granted.set_exception(refusal)
    finally:
        _telling.is_busy = False


def pico(cost_usd: float) -> int:
    """An amount in trillionths of a dollar."""
    return math.ceil(cost_usd * _PICO)
