"""An LM whose every call is reserved in the ledger before it is made, settled after it, and recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Mapping
from concurrent.futures import wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import dspy

from rlm_module.events import LMCalled, Role, Usage
from rlm_module.host.subcalls import model_name
from rlm_module.journal import Journal
from rlm_module.lms.allowance import Allowance
from rlm_module.lms.books import Conversations, Spending, Twins
from rlm_module.lms.ledger import Hold, Ledger
from rlm_module.lms.long_replies import streamed, streamed_async
from rlm_module.lms.meter import Meter
from rlm_module.lms.paid_calls import PaidCall
from rlm_module.lms.prices import price_of
from rlm_module.lms.replies import Replies
from rlm_module.waiting import Deadline

logger = logging.getLogger(__name__)

_CURRENT: ContextVar[Account | None] = ContextVar("rlm_module_account", default=None)

# What runs share that begin here; in dspy's settings, because dspy.Parallel hands on only those.
SPENDING = "rlm_module_spending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """In whose name LM calls are made.

    Args:
        ledger: Where they are reserved and settled.
        journal: Where they are recorded; None for calls outside of any run.
        twins: Those of the tree.
        conversations: Those of the tree.
        role: What they are for.
        node: The RLM they belong to.
        depth: Its depth.
        call: The host call they are made for.
        cell: The cell that made it.
        spending: What they add to.
        allowance: Out of which each takes a sub-call; None where they don't count.
        instead: The LM that they go to, whichever the predictor has.
        deadline: When none is begun any more, for calls whose run does not see to that.
        replies: Those that an earlier part of the run has paid for; None for calls outside of any run.
    """

    ledger: Ledger
    journal: Journal | None
    twins: Twins
    conversations: Conversations
    role: Role
    node: int = 0
    depth: int = 0
    call: int | None = None
    cell: int = 0
    spending: Spending = field(default_factory=Spending)
    allowance: Allowance | None = None
    instead: Any = None
    deadline: Deadline = field(default_factory=Deadline)
    replies: Replies | None = None

    @contextmanager
    def scope(self) -> Generator[None]:
        """Charges the LM calls made within; those that reach no LM of this account's are settled when it ends."""
        meter = Meter(self.ledger)
        token = _CURRENT.set(self)
        lm = self.instead if self.instead is not None else dspy.settings.lm
        # A run that is begun within is paid for by this account, and not a second time by what that is a part of.
        settings: dict[str, Any] = {SPENDING: None} if lm is None else {SPENDING: None, "lm": self.lm(lm)}
        try:
            with meter.scope(), dspy.context(**settings):
                yield
        finally:
            _CURRENT.reset(token)
            for model, usage in meter.spent.items():
                self.book({model: self._priced(model, usage)}, model=model)

    def _priced(self, model: str, usage: Usage) -> Usage:
        """Usage of an LM that a tool or a predictor brought along: it was not reserved, but it has its price."""
        budget = self.ledger.budget
        if budget.cost_usd is None or usage.cost_usd is not None:
            return usage
        price = price_of(SimpleNamespace(model=model), budget, usage.prompt_tokens)
        if price is None:
            logger.warning(
                "The price of %r, which a tool or predictor of yours called, is not known, so it is missing from the "
                "budget; give it in Budget(prices=...).",
                model,
            )
        return usage if price is None else replace(usage, cost_usd=price.of(usage))

    def lm(self, lm: Any) -> PaidLM:
        """The LM, as this account may call it."""
        lm = self.instead if self.instead is not None else lm
        while isinstance(lm, PaidLM) and self.ledger.reaches(lm.account.ledger):
            lm = lm.inner
        return PaidLM(lm, self)

    def book(
        self,
        spent: Mapping[str, Usage],
        hold: Hold | None = None,
        *,
        model: str,
        messages: tuple[Mapping[str, Any], ...] = (),
        reply: str = "",
        seconds: float = 0.0,
        error: str | None = None,
        attempts: int = 1,
        is_estimate: bool = False,
        key: str = "",
        answer: str | None = None,
    ) -> None:
        """Settles and records a call."""
        self.ledger.settle(self.role, spent, self.depth, hold)
        usage = sum(spent.values(), Usage())
        self.spending.add(usage)
        if self.journal is None:
            return
        shared, news = self.conversations.news(self.node, self.role, messages)
        self.journal.record(
            LMCalled(
                run_id=self.journal.run_id,
                node=self.node,
                role=self.role,
                depth=self.depth,
                call=self.call,
                model=model,
                messages=news,
                shared=shared,
                reply=reply,
                usage=usage,
                seconds=seconds,
                error=error,
                attempts=attempts,
                is_estimate=is_estimate,
                key=key,
                answer=answer,
            )
        )


def current_account() -> Account | None:
    """The account in whose scope this runs."""
    return _CURRENT.get()


class PaidLM(dspy.BaseLM):
    """An LM, or any callable that takes a prompt, charged to an account. It passes for the LM itself: what adapters
    and predictors ask of one is answered by it. `last_entry` is dspy's history entry of its last call.

    Raises:
        LimitReached: If a call does not fit into what is left.
    """

    def __init__(self, lm: Any, account: Account) -> None:
        super().__init__(model=model_name(lm), model_type=getattr(lm, "model_type", "chat"))
        self.inner = lm
        self.account = account
        self.kwargs = getattr(lm, "kwargs", None) or {}
        self.cache = bool(getattr(lm, "cache", False))
        self.last_entry: Mapping[str, Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = PaidCall(self.inner, self.payer(), args, kwargs)
        if (known := call.recalled()) is not None:
            return known
        while (twin := call.twin()) is not None:
            wait([twin])
        with self._booked(call, call.hold()):
            ask = partial(streamed, self.inner) if call.streams else self.inner
            while True:
                try:
                    return call.ended(ask(*args, **call.options))
                except Exception as error:
                    if call.account.ledger.stopped.wait(call.pause_after(error)):
                        raise

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """The same, awaited."""
        call = PaidCall(self.inner, self.payer(), args, kwargs)
        if (known := call.recalled()) is not None:
            return known
        while (twin := call.twin()) is not None:
            await asyncio.shield(asyncio.wrap_future(twin))  # it is not this call's to cancel
        with self._booked(call, await call.ahold()):
            ask = getattr(self.inner, "acall", self.inner)
            if call.streams:
                ask = partial(streamed_async, self.inner)
            while True:
                try:
                    return call.ended(await ask(*args, **call.options))
                except Exception as error:
                    await asyncio.sleep(call.pause_after(error))
                    if call.account.ledger.stopped.is_set():
                        raise

    @contextmanager
    def _booked(self, call: PaidCall, hold: Hold) -> Generator[None]:
        try:
            with call.made(hold), call.as_adapter():
                yield
        finally:
            self.last_entry = call.last_entry

    def copy(self, **kwargs: Any) -> PaidLM:
        """A copy with other options, on the same account."""
        return PaidLM(self.inner.copy(**kwargs), self.account)

    def __deepcopy__(self, memo: dict[int, Any]) -> PaidLM:
        """A copy of a program shares the LM, as it shares the one that dspy is configured with."""
        return PaidLM(self.inner, self.account)

    def dump_state(self) -> dict[str, Any]:
        """The state of the LM itself: a saved program pays into no ledger."""
        return self.inner.dump_state()

    def payer(self) -> Account:
        """Its account, unless it is called within a run which that is to pay for, too: then the run's pays for both."""
        current = _CURRENT.get()
        mine = self.account.ledger
        if current is None or current.ledger is mine or not current.ledger.reaches(mine):
            return self.account
        return current

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    @property
    def supports_function_calling(self) -> bool:
        return bool(getattr(self.inner, "supports_function_calling", False))

    @property
    def supports_reasoning(self) -> bool:
        return bool(getattr(self.inner, "supports_reasoning", False))

    @property
    def supports_response_schema(self) -> bool:
        return bool(getattr(self.inner, "supports_response_schema", False))

    @property
    def supported_params(self) -> set[str]:
        return set(getattr(self.inner, "supported_params", ()))
