"""`llm_query` and `llm_query_batched`: sub-LM calls of generated code, side by side and with typed failures."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import dspy

from rlm_module.errors import SubcallError
from rlm_module.host.calls import Calls, OpenCall, digest
from rlm_module.host.subcalls import Models, as_subcall_error, is_async_only, reply_text
from rlm_module.lms.accounts import PaidLM, current_account
from rlm_module.prompting.previews import one_line
from rlm_module.prompting.shown import encodable
from rlm_module.signatures.sub_call import sub_call_prompt

MAX_BATCH = 10_000


def _llm_query(prompt: str, model: str | None = None) -> str:  # pyright: ignore[reportReturnType] - a template
    """Asks a sub-LM, which sees the prompt and nothing else. Raises SubcallError where it fails."""


def _llm_query_batched(  # a template, too
    prompts: list[str], model: str | None = None
) -> list[str]:  # pyright: ignore[reportReturnType]
    """Asks a sub-LM many prompts at once; answers come in order, with a SubcallError for each that failed."""


class Queries:
    """Offers and answers `llm_query` and `llm_query_batched`.

    Args:
        calls: Whose threads, ledger and context to use.
        models: The LMs they may go to.
    """

    def __init__(self, calls: Calls, models: Models) -> None:
        self._calls = calls
        self._models = models
        # A dspy tool, so that callbacks and status messages tell of sub-calls as of any other. Its arguments have been
        # checked before, and without types it costs next to nothing.
        self._tool = dspy.Tool(self._ask, name="llm_query", desc=_llm_query.__doc__)
        calls.add("llm_query", _llm_query, self._single, is_ahead=True)
        calls.add("llm_query_batched", _llm_query_batched, self._batch, is_remade=True)

    def ask(self, opened: OpenCall, prompt: str, model: str | None) -> Future[Any]:
        """Asks one prompt.

        Raises:
            SubcallError: If there is no such LM, or no sub-call is left.
        """
        is_awaited = is_async_only(self._models.find(model))
        is_taken = self._calls.take_allowance(opened)
        if is_awaited:
            return self._calls.on_loop(partial(self._aquery, opened, prompt, model), is_taken=is_taken)
        return self._calls.in_pool(partial(self._query, opened, prompt, model), is_taken=is_taken)

    def _single(self, opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        given = bound(_llm_query, args, kwargs)
        return self.ask(opened, _checked(given["prompt"]), given["model"])

    def _batch(self, opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Those over what is left of the ledger are refused, the others are asked."""
        given = bound(_llm_query_batched, args, kwargs)
        prompts, model = given["prompts"], given["model"]
        self._models.find(model)

        def item(prompt: Any) -> Callable[[OpenCall], Future[Any]]:
            return lambda part: self.ask(part, _checked(prompt), model)

        return batched(self._calls, opened, "llm_query", prompts, item, model=model)

    def _query(self, opened: OpenCall, prompt: str, model: str | None) -> str:
        try:
            with self._calls.account(opened, "sub").scope():
                return self._tool(prompt=prompt, model=model)
        except Exception as error:
            raise as_subcall_error(error) from error

    async def _aquery(self, opened: OpenCall, prompt: str, model: str | None) -> str:
        try:
            with self._calls.account(opened, "sub").scope():
                return await self._tool.acall(prompt=prompt, model=model)
        except Exception as error:
            raise as_subcall_error(error) from error

    def _ask(self, prompt: Any, model: Any) -> Any:
        lm, account = self._models.find(model), current_account()
        assert account is not None
        paid = account.lm(lm)
        if is_async_only(lm):
            return _areply(paid, sub_call_prompt(prompt, self._models.guidance))
        # A listener waits for the root's fields; what sub-calls say must not end up in them.
        with dspy.context(send_stream=None):
            return reply_text(paid(sub_call_prompt(prompt, self._models.guidance)), paid.last_entry)


async def _areply(lm: PaidLM, prompt: str) -> str:
    with dspy.context(send_stream=None):
        return reply_text(await lm.acall(prompt), lm.last_entry)


def batched(
    calls: Calls,
    opened: OpenCall,
    function: str,
    items: Any,
    item: Callable[[Any], Callable[[OpenCall], Future[Any]]],
    **shared: Any,
) -> Future[Any]:
    """Answers a batch, item by item as calls of the function that takes one.

    Args:
        calls: Who answers.
        opened: The batch.
        function: What the items are calls of.
        items: A list.
        item: Makes of one item what starts it.
        **shared: What else tells its items from those of another batch.
    """
    if not isinstance(items, (list, tuple)):
        raise SubcallError("invalid", f"{function}_batched takes a list, not {type(items).__name__}")
    if len(items) > MAX_BATCH:
        raise SubcallError("invalid", f"a batch holds at most {MAX_BATCH:,} items; make several")
    return gathered(
        [
            calls.begin(
                function, opened.cell, digest(function, (one,), shared), item(one), shown=one_line(one), batch=opened
            )
            for one in items
        ]
    )


def gathered(futures: Sequence[Future[Any]]) -> Future[Any]:
    """A list of all results in order, with the SubcallError of each that failed in its place."""
    whole: Future[Any] = Future()
    if not futures:
        whole.set_result([])
        return whole
    left = itertools.count(len(futures) - 1, -1)

    def one_done(_: Future[Any]) -> None:
        if next(left) == 0 and whole.set_running_or_notify_cancel():
            whole.set_result([_result(future) for future in futures])

    def cancel_all(done: Future[Any]) -> None:
        if done.cancelled():
            for future in futures:
                future.cancel()

    whole.add_done_callback(cancel_all)
    for future in futures:
        future.add_done_callback(one_done)
    return whole


def _result(future: Future[Any]) -> Any:
    if future.cancelled():
        return SubcallError("lm", "the call was cancelled")
    error = future.exception()
    if error is None:
        return future.result()
    return as_subcall_error(error) if isinstance(error, Exception) else SubcallError("lm", repr(error))


def bound(template: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, defaults included.

    Raises:
        SubcallError: If they don't fit the template.
    """
    try:
        bound = inspect.signature(template).bind(*args, **kwargs)
    except TypeError as error:
        raise SubcallError("invalid", f"{template.__name__.lstrip('_')}: {error}") from None
    bound.apply_defaults()
    return bound.arguments


def _checked(prompt: Any) -> str:
    if not isinstance(prompt, str):
        raise SubcallError(
            "invalid", f"a prompt must be a str, not {type(prompt).__name__}; format the value into text"
        )
    if not prompt.strip():
        raise SubcallError("invalid", "the prompt is empty; put a question and the text it is about into it")
    return encodable(prompt)
