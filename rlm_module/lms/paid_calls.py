"""One LM call that somebody pays for: what it reserves, and what it is found to have used."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Generator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dspy
from dspy.clients._deprecation import adapter_message_call

from rlm_module.errors import LimitReached, describe
from rlm_module.events import Usage
from rlm_module.host.subcalls import model_name, text_of
from rlm_module.host.workers import result_of
from rlm_module.lms.faults import is_transient, may_be_billed, most_attempts, pause
from rlm_module.lms.ledger import Hold, Need
from rlm_module.lms.long_replies import has_to_stream
from rlm_module.lms.meter import Meter
from rlm_module.lms.plausible import can_be
from rlm_module.lms.prices import (
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
from rlm_module.lms.replies import lasting, request_key, returned
from rlm_module.prompting.shown import without_secrets
from rlm_module.waiting import awaited

if TYPE_CHECKING:
    from rlm_module.lms.accounts import Account

logger = logging.getLogger(__name__)


class PaidCall:
    """The books of one call.

    Args:
        lm: The LM that is called.
        account: Who pays.
        args: The call's arguments.
        options: Those by name.

    `last_entry` is dspy's history entry of it once it is over.
    """

    def __init__(self, lm: Any, account: Account, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._lm, self.account = lm, account
        self._asked = args, options
        self.last_entry: Mapping[str, Any] | None = None
        self._prompt = args[0] if args else options.get("messages", options.get("prompt"))
        self._limit = reply_limit(self._lm, options)
        self._reply: Any = None
        self._key: Any = None
        self.options = options
        self.attempts = 1
        self._is_estimate = False
        self._meter = Meter(self.account.ledger)
        self._began = time.monotonic()
        if self.account.ledger.budget.limits_spending and self._limit is None:
            self._limit = reply_cap(self._lm, self.account.role, self.account.ledger.budget)
            if isinstance(self._lm, dspy.BaseLM):
                self.options = {**options, reply_limit_name(self._lm): self._limit}
        self.streams = has_to_stream(self._lm, self._limit)

    @cached_property
    def key(self) -> str:
        """Digest of what is asked."""
        return request_key(self._lm, *self._asked)

    def recalled(self) -> Any:
        """What the LM returned to the same request in an earlier part of the run; None if that is not known."""
        account, replies = self.account, self.account.replies
        if replies is None or not replies.has_for(account.node, account.call):
            return None
        known = replies.take(account.node, account.call, self.key)
        if known is None:
            return None
        if account.call is None:  # what a call has used is recalled with the call
            account.spending.recall(known.usage)
        return returned(known)

    def twin(self) -> Future[None] | None:
        """An identical call to wait for."""
        if self._key is not None or not is_managed(self._lm) or not self.options.get("cache", self._lm.cache):
            return None
        key = id(self._lm), repr(self._prompt), repr(sorted(self.options.items(), key=lambda item: item[0]))
        twin = self.account.twins.join(key)
        if twin is None:
            self._key = key
        return twin

    def _admitted(self) -> Future[Hold]:
        """A hold of the most that it can cost, once that fits."""
        ledger = self.account.ledger
        try:
            if self.account.deadline.left() == 0.0:
                raise LimitReached("seconds")
            if self.account.allowance is not None and not self.account.allowance.reserve():
                raise LimitReached("calls")
            need = Need()
            if ledger.budget.limits_spending:
                need = worst_case(self._lm, self._prompt, self.options, self._limit or 0, ledger.budget)
            # A child's answer is drawn up out of what is left: the slice is kept for the root's.
            is_final = self.account.role == "extract" and not self.account.depth
            future = ledger.admit(need, is_final=is_final)
        except BaseException as error:
            future = Future()
            future.set_exception(error)
        future.add_done_callback(self._not_admitted)
        return future

    def hold(self) -> Hold:
        """The same, waited for."""
        admitted = self._admitted()
        try:
            admitted.exception(self.account.deadline.left())
        except TimeoutError:
            self._give_up(admitted)
            raise LimitReached("seconds") from None
        except BaseException:
            self._give_up(admitted)
            raise
        return result_of(admitted)

    async def ahold(self) -> Hold:
        """The same, awaited."""
        admitted = self._admitted()
        try:
            return await awaited(asyncio.wrap_future(admitted), self.account.deadline.left())
        except BaseException:
            self._give_up(admitted)
            raise

    def _give_up(self, admitted: Future[Hold]) -> None:
        """A hold that comes too late is given back."""

        def give_back(late: Future[Hold]) -> None:
            if not late.cancelled() and late.exception() is None:
                self.account.ledger.give_back(late.result())

        self._leave()
        admitted.cancel()
        admitted.add_done_callback(give_back)

    @contextmanager
    def made(self, hold: Hold | None = None) -> Generator[None]:
        """The call itself: measured, and booked however it ends; without a hold where nothing was reserved for it."""
        error: BaseException | None = None
        try:
            with self._meter.scope():
                yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._leave()
            self.last_entry = self._meter.last_entry
            reply = text_of(self._reply) or ""
            self.account.book(
                self._spent(reply, error),
                hold,
                model=model_name(self._lm),
                messages=self._messages(),
                reply=reply,
                seconds=time.monotonic() - self._began,
                error=None if error is None else without_secrets(describe(error)),
                attempts=self.attempts,
                is_estimate=self._is_estimate,
                **({} if error is not None else self._lasting()),
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
            self.account.twins.leave(key)

    def _messages(self) -> tuple[Mapping[str, Any], ...]:
        entry = self._meter.last_entry or {}
        messages = entry.get("messages") or self.options.get("messages")
        if isinstance(messages, (list, tuple)) and messages:
            return tuple(messages)
        return ({"role": "user", "content": self._prompt if isinstance(self._prompt, str) else str(self._prompt)},)

    def _lasting(self) -> dict[str, Any]:
        """What a resumed run has to know to recall the reply."""
        if self.account.journal is None or not self.account.journal.is_stored:
            return {}
        is_lasting, answer = lasting(self._reply, self.last_entry)
        return {"key": self.key, "answer": answer} if is_lasting else {}

    def _spent(self, reply: str, error: BaseException | None) -> dict[str, Usage]:
        """What was used, priced. Of an LM that does not tell, a limited budget is charged what it looks like."""
        budget = self.account.ledger.budget
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
        if not self.account.ledger.budget.limits_spending:
            return replace(told, prompt_tokens=0, completion_tokens=0, cost_usd=None)
        self._is_estimate = True
        completion = longest = self._limit or 0
        if error is None:
            # The count is an upper estimate, and a reply ends where the LM was told to end it; a callable was not told.
            counted = count_tokens(reply)
            completion = min(counted, longest) if isinstance(self._lm, dspy.BaseLM) else counted
        return replace(told, prompt_tokens=count_tokens(self._prompt), completion_tokens=completion, cost_usd=None)
