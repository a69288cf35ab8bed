"""An LM whose every call is reserved in the ledger before it is made, settled after it, and recorded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Generator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import dspy
from dspy.clients._deprecation import adapter_message_call

from rlm_module.books import Conversations, Spending, Twins
from rlm_module.errors import LimitReached, describe
from rlm_module.events import LMCalled, Role, Usage
from rlm_module.faults import is_transient, may_be_billed, most_attempts, pause
from rlm_module.journal import Journal
from rlm_module.ledger import Allowance, Hold, Ledger, Need
from rlm_module.long_replies import has_to_stream, streamed, streamed_async
from rlm_module.meter import Meter
from rlm_module.plausible import can_be
from rlm_module.prices import (
    completions_of,
    count_tokens,
    is_managed,
    listed_price,
    price_of,
    reply_cap,
    reply_limit,
    reply_limit_name,
    worst_case,
)
from rlm_module.shown import without_secrets
from rlm_module.subcalls import model_name, text_of
from rlm_module.workers import result_of

logger = logging.getLogger(__name__)

_CURRENT: ContextVar[Account | None] = ContextVar("rlm_module_account", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """In whose name LM calls are made.

    Args:
        ledger: Where they are reserved and settled.
        journal: Where they are recorded.
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
    """

    ledger: Ledger
    journal: Journal
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

    @contextmanager
    def scope(self) -> Generator[None]:
        """Charges the LM calls made within; those that reach no LM of this account's are settled when it ends."""
        meter = Meter(self.ledger)
        token = _CURRENT.set(self)
        lm = self.instead if self.instead is not None else dspy.settings.lm
        try:
            with meter.scope(), contextlib.nullcontext() if lm is None else dspy.context(lm=self.lm(lm)):
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
        if isinstance(lm, PaidLM) and lm.account.ledger is self.ledger:
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
    ) -> None:
        """Settles and records a call."""
        self.ledger.settle(self.role, spent, self.depth, hold)
        usage = sum(spent.values(), Usage())
        self.spending.add(usage)
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
        call = _Call(self, args, kwargs)
        while (twin := call.twin()) is not None:
            wait([twin])
        with call.made(result_of(call.admitted())), call.as_adapter():
            ask = partial(streamed, self.inner) if call.streams else self.inner
            while True:
                try:
                    return call.ended(ask(*args, **call.options))
                except Exception as error:
                    if self.account.ledger.stopped.wait(call.pause_after(error)):
                        raise

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """The same, awaited."""
        call = _Call(self, args, kwargs)
        while (twin := call.twin()) is not None:
            await asyncio.shield(asyncio.wrap_future(twin))  # it is not this call's to cancel
        with call.made(await call.hold()), call.as_adapter():
            ask = getattr(self.inner, "acall", self.inner)
            if call.streams:
                ask = partial(streamed_async, self.inner)
            while True:
                try:
                    return call.ended(await ask(*args, **call.options))
                except Exception as error:
                    await asyncio.sleep(call.pause_after(error))
                    if self.account.ledger.stopped.is_set():
                        raise

    def copy(self, **kwargs: Any) -> PaidLM:
        """A copy with other options, on the same account."""
        return PaidLM(self.inner.copy(**kwargs), self.account)

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


class _Call:
    """The books of one call."""

    def __init__(self, lm: PaidLM, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._paid, self._lm, self._account = lm, lm.inner, lm.account
        self._prompt = args[0] if args else options.get("messages", options.get("prompt"))
        self._limit = reply_limit(self._lm, options)
        self._reply: Any = None
        self._key: Any = None
        self.options = options
        self.attempts = 1
        self._is_estimate = False
        self._meter = Meter(self._account.ledger)
        self._began = time.monotonic()
        if self._account.ledger.budget.limits_spending and self._limit is None:
            self._limit = reply_cap(self._lm, self._account.role, self._account.ledger.budget)
            if isinstance(self._lm, dspy.BaseLM):
                self.options = {**options, reply_limit_name(self._lm): self._limit}
        self.streams = has_to_stream(self._lm, self._limit)

    def twin(self) -> Future[None] | None:
        """An identical call to wait for."""
        if self._key is not None or not is_managed(self._lm) or not self.options.get("cache", self._lm.cache):
            return None
        key = id(self._lm), repr(self._prompt), repr(sorted(self.options.items(), key=lambda item: item[0]))
        twin = self._account.twins.join(key)
        if twin is None:
            self._key = key
        return twin

    def admitted(self) -> Future[Hold]:
        """A hold of the most that it can cost, once that fits."""
        ledger = self._account.ledger
        try:
            if self._account.allowance is not None and not self._account.allowance.reserve():
                raise LimitReached("calls")
            need = Need()
            if ledger.budget.limits_spending:
                need = worst_case(self._lm, self._prompt, self.options, self._limit or 0, ledger.budget)
            # A child's answer is drawn up out of what is left: the slice is kept for the root's.
            is_final = self._account.role == "extract" and not self._account.depth
            future = ledger.admit(need, is_final=is_final)
        except BaseException as error:
            future = Future()
            future.set_exception(error)
        future.add_done_callback(self._not_admitted)
        return future

    async def hold(self) -> Hold:
        """The same, awaited; one that comes too late for a call that was cancelled is given back."""
        admitted = self.admitted()
        try:
            return await asyncio.wrap_future(admitted)
        except asyncio.CancelledError:
            self._leave()
            if admitted.done() and not admitted.cancelled() and admitted.exception() is None:
                self._account.ledger.settle(self._account.role, {}, hold=admitted.result())
            raise

    @contextmanager
    def made(self, hold: Hold) -> Generator[None]:
        """The call itself: measured, and booked however it ends."""
        error: BaseException | None = None
        try:
            with self._meter.scope():
                yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._leave()
            self._paid.last_entry = self._meter.last_entry
            reply = text_of(self._reply) or ""
            self._account.book(
                self._spent(reply, error),
                hold,
                model=model_name(self._lm),
                messages=self._messages(),
                reply=reply,
                seconds=time.monotonic() - self._began,
                error=None if error is None else without_secrets(describe(error)),
                attempts=self.attempts,
                is_estimate=self._is_estimate,
            )

    @contextmanager
    def as_adapter(self) -> Generator[None]:
        """dspy warns of chat messages unless an adapter made them, which it tells by the LM they were made for."""
        with adapter_message_call(self._lm, self.options.get("messages")):
            yield

    def ended(self, reply: Any) -> Any:
        """Takes in the reply."""
        self._reply = reply
        return reply

    def pause_after(self, error: Exception) -> float:
        """Seconds to wait before the next attempt; where there is none, the error is raised again."""
        if self.attempts >= most_attempts(self._lm) or not is_transient(error):
            raise error
        self.attempts += 1
        return pause(error, self.attempts - 1)

    def _not_admitted(self, future: Future[Hold]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._leave()

    def _leave(self) -> None:
        key, self._key = self._key, None
        if key is not None:
            self._account.twins.leave(key)

    def _messages(self) -> tuple[Mapping[str, Any], ...]:
        entry = self._meter.last_entry or {}
        messages = entry.get("messages") or self.options.get("messages")
        if isinstance(messages, (list, tuple)) and messages:
            return tuple(messages)
        return ({"role": "user", "content": self._prompt if isinstance(self._prompt, str) else str(self._prompt)},)

    def _spent(self, reply: str, error: BaseException | None) -> dict[str, Usage]:
        """What was used, priced. Of an LM that does not tell, a limited budget is charged what it looks like."""
        budget = self._account.ledger.budget
        spent = self._meter.spent
        # What failed is charged only where a budget has to be held, since nobody knows whether it was paid for.
        if not spent and (error is None or (budget.limits_spending and may_be_billed(error))):
            spent = {model_name(self._lm): Usage(calls=1, cost_usd=None)}
        priced: dict[str, Usage] = {}
        for model, told in spent.items():
            usage = self._believed(told, reply, error)
            price = listed_price(self._lm, budget)
            if price is None and usage.cost_usd is None and (budget.cost_usd is not None or self.streams):
                price = price_of(self._lm, budget, usage.prompt_tokens)
            is_told = usage.tokens or usage.calls == usage.cached_calls or budget.limits_spending
            priced[model] = usage if price is None or not is_told else replace(usage, cost_usd=price.of(usage))
        return priced

    def _believed(self, told: Usage, reply: str, error: BaseException | None) -> Usage:
        """What a provider reports, if that can be true. If not, or if it reports nothing, a limited budget is charged
        an estimate, of a failed call the most it can have used, and without a limit it counts as not known.
        """
        paid = told.calls - told.cached_calls
        shares = max(1, paid) * completions_of(self._lm, self.options)
        is_wrong = self._meter.is_wrong or not can_be(
            told.prompt_tokens // shares,
            told.completion_tokens // shares,
            prompt=self._prompt,
            reply=reply,
            limit=self._limit,
        )
        if is_wrong:
            logger.warning(
                "%s reported usage that cannot be true; it is not counted as reported.", model_name(self._lm)
            )
        if not paid or not (is_wrong or told.tokens == 0):
            return told
        if not self._account.ledger.budget.limits_spending:
            return replace(told, prompt_tokens=0, completion_tokens=0, cost_usd=None)
        self._is_estimate = True
        completion = longest = self._limit or 0
        if error is None:
            # The count is an upper estimate, and a reply ends where the LM was told to end it; a callable was not told.
            counted = count_tokens(reply)
            completion = min(counted, longest) if isinstance(self._lm, dspy.BaseLM) else counted
        return replace(told, prompt_tokens=count_tokens(self._prompt), completion_tokens=completion, cost_usd=None)
