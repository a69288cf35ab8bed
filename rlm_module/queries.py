"""`llm_query` and `llm_query_batched`: sub-LM calls of generated code, side by side and with typed failures."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import dspy

from rlm_module.calls import Calls, Spending, failed
from rlm_module.errors import SubcallError
from rlm_module.events import Usage
from rlm_module.meter import Meter
from rlm_module.shown import encodable
from rlm_module.subcalls import Models, as_subcall_error, is_async_only, model_name, reply_text

_MAX_BATCH = 10_000


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
        calls.add("llm_query", _llm_query, _llm_query.__doc__ or "", self.single)
        calls.add("llm_query_batched", _llm_query_batched, _llm_query_batched.__doc__ or "", self.batch)

    def single(self, spending: Spending, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Answers one prompt."""
        given = _bind(_llm_query, args, kwargs)
        prompt, model = _checked(given["prompt"]), given["model"]
        self._models.find(model)
        if not self._calls.ledger.reserve(1):
            raise self._over_budget()
        return self._start(spending, prompt, model)

    def batch(self, spending: Spending, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Answers many; those over what is left of the ledger are refused, the others are asked."""
        given = _bind(_llm_query_batched, args, kwargs)
        prompts, model = given["prompts"], given["model"]
        if not isinstance(prompts, (list, tuple)):
            raise SubcallError("invalid", f"llm_query_batched takes a list of prompts, not {type(prompts).__name__}")
        if len(prompts) > _MAX_BATCH:
            raise SubcallError("invalid", f"a batch holds at most {_MAX_BATCH:,} prompts; make several")
        self._models.find(model)
        checked = [_attempt(_checked, prompt) for prompt in prompts]
        granted = self._calls.ledger.reserve(sum(isinstance(prompt, str) for prompt in checked))
        futures: list[Future[Any]] = []
        for prompt in checked:
            if not isinstance(prompt, str):
                futures.append(failed(prompt))
            elif granted:
                granted -= 1
                futures.append(self._start(spending, prompt, model))
            else:
                futures.append(failed(self._over_budget()))
        return gathered(futures)

    def _over_budget(self) -> SubcallError:
        limit = self._calls.ledger.max_calls
        return SubcallError("budget", f"all {limit:,} sub-calls of this run are used up; go on with code alone")

    def _start(self, spending: Spending, prompt: str, model: str | None) -> Future[Any]:
        if is_async_only(self._models.find(model)):
            return self._calls.on_loop(partial(self._aquery, spending, prompt, model))
        return self._calls.in_pool(partial(self._query, spending, prompt, model))

    def _query(self, spending: Spending, prompt: str, model: str | None) -> str:
        with self._booked(spending, model) as meter:
            return reply_text(self._tool(prompt=prompt, model=model), meter.last_entry)

    async def _aquery(self, spending: Spending, prompt: str, model: str | None) -> str:
        with self._booked(spending, model) as meter:
            return reply_text(await self._tool.acall(prompt=prompt, model=model), meter.last_entry)

    @contextmanager
    def _booked(self, spending: Spending, model: str | None) -> Generator[Meter]:
        """Measures a sub-call and types its failure. Of an LM that is not dspy's, only the call itself is known."""
        try:
            with spending.measured("sub") as meter:
                yield meter
        except Exception as error:
            raise as_subcall_error(error) from error
        if not meter.spent:
            spending.book("sub", {model_name(self._models.find(model)): Usage(calls=1, cost_usd=None)})

    def _ask(self, prompt: Any, model: Any) -> Any:
        lm = self._models.find(model)
        # A listener waits for the root's fields; what sub-calls say must not end up in them.
        with dspy.context(send_stream=None):
            if not is_async_only(lm):
                return lm(prompt)
        return self._aask(lm, prompt)

    async def _aask(self, lm: Any, prompt: str) -> Any:
        with dspy.context(send_stream=None):
            return await (lm.acall(prompt) if isinstance(lm, dspy.BaseLM) else lm(prompt))


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


def _bind(template: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
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


def _attempt(check: Callable[[Any], str], prompt: Any) -> str | SubcallError:
    try:
        return check(prompt)
    except SubcallError as error:
        return error
