"""The ledger of a run tree: a call reserves the most it can cost before it is made, and settles what it used.

Siblings and children share it, so that no two of them count on the same money. Ledgers of several runs can stand below
one that they share: a call then has to fit into each on the way up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from rlm_module.budget import UNLIMITED, Budget, least
from rlm_module.errors import LimitReached
from rlm_module.events import Role, Usage
from rlm_module.lms.allowance import Allowance
from rlm_module.lms.reservations import Hold as Hold
from rlm_module.lms.reservations import Need as Need
from rlm_module.lms.reservations import Reservations


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The LM usage of a run and of all it started.

    Args:
        total: Everything together.
        by_role: Split by what the calls were for; roles without a call are left out.
        by_model: Split by model name.
        by_depth: Split by the depth of the RLM that made them.
        in_flight: LM calls that had not ended, and of which nothing is in here. Those of a run that is over were cut
            off by its end, and a provider may charge for them all the same.
    """

    total: Usage = field(default_factory=Usage)
    by_role: Mapping[Role, Usage] = field(default_factory=dict)
    by_model: Mapping[str, Usage] = field(default_factory=dict)
    by_depth: Mapping[int, Usage] = field(default_factory=dict)
    in_flight: int = 0


class Ledger:
    """The only way to spend, safe to share between threads.

    Args:
        max_calls: Sub-calls and turns of children that the tree may make.
        budget: What the tree may spend.
        parent: The ledger that it is a part of, which has to be able to pay, too.

    `limits` are its own. `budget` is what its calls have to keep to, with the limits and prices of those above.
    """

    def __init__(self, max_calls: int, budget: Budget = UNLIMITED, parent: Ledger | None = None) -> None:
        self.calls = Allowance(max_calls)
        self.limits = budget
        self.budget = budget if parent is None else budget.within(parent.budget)
        self.own = Reservations(budget)
        self._parent = parent
        self._asking: dict[Future[Hold], Hold] = {}
        self._spent: dict[tuple[Role, str, int], Usage] = {}
        self._lock = threading.RLock()
        self.stopped = self.own.stopped

    @property
    def tokens_left(self) -> int | None:
        """Tokens that are neither spent, nor reserved, nor kept for the end; None if they are not limited."""
        return least(self.own.tokens_left, None if self._parent is None else self._parent.tokens_left)

    @property
    def cost_left(self) -> float | None:
        """The same for US dollars."""
        return least(self.own.cost_left, None if self._parent is None else self._parent.cost_left)

    def reaches(self, other: Ledger) -> bool:
        """Whether what is spent here is spent there, too."""
        return other is self or (self._parent is not None and self._parent.reaches(other))

    def keep(self, need: Need, whose: Ledger | None = None) -> None:
        """Keeps a slice for drawing up an answer, here and above, which only a final call of its owner may use: what
        that needs, but no more than is there, nor than, with all other slices, a third of the budget.
        """
        self.own.keep(need, whose or self)
        if self._parent is not None:
            self._parent.keep(need, whose or self)

    def admit(self, need: Need, *, is_final: bool = False, whose: Ledger | None = None) -> Future[Hold]:
        """Reserves what a call may use. One that does not fit waits while others hold reservations.

        Args:
            need: The most it can use.
            is_final: Whether it draws up the run's answer, for which a slice is kept.
            whose: The ledger below that asks for it.

        Returns:
            A future that fails with LimitReached where the call does not fit and nothing is held that could be freed.
        """
        hold = Hold.of(need, whose or self, is_final=is_final)
        granted = self.own.request(hold)
        if self._parent is None:
            return granted
        ask = partial(self._parent.admit, need, is_final=is_final, whose=whose or self)
        return _Climb(self, hold, granted, ask).both

    def stop(self) -> None:
        """Refuses all that waits and all that comes, but for drawing up the answer: their futures are cancelled."""
        under_way = self.own.stop()
        with self._lock:
            asked = [above for above, hold in self._asking.items() if not hold.is_final]
        for above in asked:
            above.cancel()
        self._leave_above(under_way)

    def close(self) -> None:
        """Stops it, and lets go of what is kept and held above."""
        self.stop()
        self._leave_above(self.own.held)
        self._release(self)

    def settle(self, role: Role, spent: Mapping[str, Usage], depth: int = 0, hold: Hold | None = None) -> None:
        """Books what a call has used, by model, here and above, and gives back what it had reserved."""
        self.restore(role, spent, depth)
        if self._parent is not None:
            self._parent.settle(role, spent, depth)
        if hold is not None:
            self.give_back(hold)

    def restore(self, role: Role, spent: Mapping[str, Usage], depth: int = 0) -> None:
        """Books what an earlier part of the run has used: here alone, since it was not spent above."""
        with self._lock:
            for model, usage in spent.items():
                key = role, model, depth
                self._spent[key] = self._spent.get(key, Usage()) + usage
                self.own.book(usage.tokens, usage.cost_usd or 0.0)

    def give_back(self, hold: Hold) -> None:
        """Ends a reservation, here and above."""
        if self._parent is not None and hold.above is not None:
            self._parent.give_back(hold.above)
        self.own.give_back(hold)

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
        return UsageReport(total, by_role, by_model, by_depth, len(self.own.held))

    def asks(self, above: Future[Hold], hold: Hold) -> None:
        """Takes note that a call waits above. One that comes after the end is cancelled."""
        with self._lock:
            self._asking[above] = hold
            is_late = self.stopped.is_set() and not hold.is_final
        if is_late:
            above.cancel()

    def answered(self, above: Future[Hold], hold: Hold) -> bool:
        """Takes note of what it was told there, and returns whether it may be made now."""
        is_granted = not above.cancelled() and above.exception() is None
        with self._lock:
            self._asking.pop(above, None)
            hold.above = above.result() if is_granted else None
            return is_granted and (hold.is_final or not self.stopped.is_set())

    def _leave_above(self, holds: list[Hold]) -> None:
        """Has nobody above wait for what these hold there."""
        with self._lock:
            above = [hold.above for hold in holds if hold.above is not None]
        if self._parent is not None and above:
            self._parent.own.leave(above)
            self._parent._leave_above(above)

    def _release(self, whose: Ledger) -> None:
        self.own.release(whose)
        if self._parent is not None:
            self._parent._release(whose)


class _Climb:
    """A call on its way up: once a ledger has granted it, it asks the one above. While it waits there it holds its
    reservation here; that ends, since what is held at the top is in flight.

    Args:
        ledger: Where it comes from.
        hold: What it reserves there.
        granted: Done when it has that.
        ask: Asks the one above.

    `both` is done when it has it here and above.
    """

    def __init__(self, ledger: Ledger, hold: Hold, granted: Future[Hold], ask: Callable[[], Future[Hold]]) -> None:
        self._ledger, self._hold, self._granted, self._ask_above = ledger, hold, granted, ask
        self._above: Future[Hold] | None = None
        self.both: Future[Hold] = Future()
        self.both.add_done_callback(self._drop)
        granted.add_done_callback(self._ask)

    def _ask(self, granted: Future[Hold]) -> None:
        if self._was_refused(granted):
            return
        above = self._above = self._ask_above()
        self._ledger.asks(above, self._hold)
        self._drop(self.both)
        above.add_done_callback(self._answer)

    def _answer(self, above: Future[Hold]) -> None:
        may_be_made = self._ledger.answered(above, self._hold)
        if may_be_made and self.both.set_running_or_notify_cancel():
            self.both.set_result(self._hold)
            return
        self._ledger.give_back(self._hold)
        if not self._was_refused(above):
            self.both.cancel()

    def _was_refused(self, asked: Future[Hold]) -> bool:
        """Whether it was; this, then, is too."""
        if asked.cancelled():
            self.both.cancel()
            return True
        error = asked.exception()
        if error is not None and not self.both.cancelled() and self.both.set_running_or_notify_cancel():
            if isinstance(error, LimitReached) and asked is self._above:
                error = LimitReached(error.limit, is_shared=True)
            self.both.set_exception(error)
        return error is not None

    def _drop(self, both: Future[Hold]) -> None:
        """Where nobody wants it any more, nobody is to wait for it either."""
        if both.cancelled():
            self._granted.cancel()
            if self._above is not None:
                self._above.cancel()
