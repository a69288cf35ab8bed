"""`rlm_query` and `rlm_query_batched`: child RLMs of generated code, each with a sandbox of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import dspy
from dspy.signatures.signature import make_signature

from rlm_module.errors import FatalError, SubcallError, SubcallErrorKind
from rlm_module.host.calls import Calls, OpenCall
from rlm_module.host.queries import Queries, batched, bound
from rlm_module.host.subcalls import Models, as_subcall_error
from rlm_module.lms.prices import count_tokens, window_of
from rlm_module.tree import Node

_PLAIN_CHARS = 1_000_000
_INSTRUCTIONS = "Answer the query from the context alone."


@dataclass(frozen=True, slots=True)
class ChildTask:
    """What a child RLM is to do.

    Args:
        task: Its signature.
        inputs: Its inputs; they enter its sandbox and no prompt.
        model: The LM of its turns by name; None for that of sub-calls.
        options: Limits that generated code asks for.
    """

    task: type[dspy.Signature]
    inputs: Mapping[str, Any]
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


RunChild: TypeAlias = Callable[[ChildTask, Node], Mapping[str, Any]]
"""Runs a child to its end on this thread, and returns its outputs."""


def _rlm_query(  # a template
    query: str, context: Any = None, model: str | None = None
) -> str:  # pyright: ignore[reportReturnType]
    """Has another RLM answer a query about `context` (any value, of any size), which it gets as a variable."""


def _rlm_query_batched(  # a template, too
    queries: list[str], contexts: list[Any] | None = None, model: str | None = None
) -> list[str]:  # pyright: ignore[reportReturnType]
    """Many of them at once, the nth query about the nth context; answers come in order, with a SubcallError for each
    that failed.
    """


def _whole(outputs: Mapping[str, Any]) -> Mapping[str, Any]:
    return outputs


class Children:
    """Offers and answers the functions that open child RLMs. At the depth limit each is a plain sub-LM call.

    Args:
        calls: The parent's.
        queries: Its plain sub-calls.
        models: The LMs of the tree.
        max_depth: Depth at which there are sub-LM calls only.
        run: Runs a child.
    """

    def __init__(self, calls: Calls, queries: Queries, models: Models, max_depth: int, run: RunChild) -> None:
        self._calls = calls
        self._queries = queries
        self._models = models
        self._run = run
        self.is_open = calls.node.depth + 1 < max_depth
        calls.add("rlm_query", _rlm_query, self._single, is_ahead=True)
        calls.add("rlm_query_batched", _rlm_query_batched, self._batch, is_remade=True)

    def open(self, opened: OpenCall, child: ChildTask, of: Callable[[Mapping[str, Any]], Any] = _whole) -> Future[Any]:
        """Starts a child.

        Args:
            opened: The call that wants it.
            child: What it is to do.
            of: What the call returns of its outputs.

        Returns:
            A future of that; cancelling it stops the child.
        """
        self._calls.check_allowance(opened)
        stop: Future[None] = Future()
        tree = self._calls.tree
        max_calls = child.options.get("max_llm_calls")
        node = tree.child(self._calls.node, opened.number, opened.key, opened.spending, stop, max_calls)
        running = tree.run_child(node.depth, lambda: of(self._outputs(child, node)))
        # A future that runs cannot be cancelled any more, and the one that is waited for has to be.
        answer: Future[Any] = Future()
        running.add_done_callback(partial(_hand_over, answer))
        answer.add_done_callback(lambda done: stop.set_result(None) if done.cancelled() else None)
        return answer

    def _outputs(self, child: ChildTask, node: Node) -> Mapping[str, Any]:
        try:
            return self._run(child, node)
        except FatalError as error:
            cause = error.__cause__
            kind: SubcallErrorKind = as_subcall_error(cause).kind if isinstance(cause, Exception) else "lm"
            raise SubcallError(kind, f"the child RLM ended without an answer ({error})") from error
        except Exception as error:
            raise as_subcall_error(error) from error

    def _single(self, opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        given = bound(_rlm_query, args, kwargs)
        return self._query(opened, given["query"], given["context"], given["model"])

    def _batch(self, opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        given = bound(_rlm_query_batched, args, kwargs)
        queries, contexts, model = given["queries"], given["contexts"], given["model"]
        if isinstance(queries, str) and isinstance(contexts, (list, tuple)):
            queries = [queries] * len(contexts)
        is_paired = isinstance(queries, (list, tuple)) and (
            contexts is None or (isinstance(contexts, (list, tuple)) and len(contexts) == len(queries))
        )
        if not is_paired:
            raise SubcallError("invalid", "rlm_query_batched takes a list of queries and a list of as many contexts")
        pairs = [(query, None if contexts is None else contexts[n]) for n, query in enumerate(queries)]

        def item(pair: Any) -> Callable[[OpenCall], Future[Any]]:
            return lambda part: self._query(part, pair[0], pair[1], model)

        return batched(self._calls, opened, "rlm_query", pairs, item, model=model)

    def _query(self, opened: OpenCall, query: Any, context: Any, model: str | None) -> Future[Any]:
        if not isinstance(query, str) or not query.strip():
            raise SubcallError("invalid", "the query must be a text that is not empty")
        lm = self._models.find(model)
        if not self.is_open:
            return self._queries.ask(opened, _plain_prompt(query, context, lm), model)
        inputs = {"query": query} if context is None else {"context": context, "query": query}
        return self.open(opened, ChildTask(_task(context), inputs, model), lambda outputs: outputs["answer"])


def _task(context: Any) -> type[dspy.Signature]:
    fields: dict[str, Any] = {} if context is None else {"context": (type(context), dspy.InputField())}
    fields["query"] = (str, dspy.InputField())
    fields["answer"] = (str, dspy.OutputField())
    return make_signature(fields, _INSTRUCTIONS)


def _plain_prompt(query: str, context: Any, lm: Any) -> str:
    """The same as one prompt.

    Raises:
        SubcallError: If the context is too large for one.
    """
    if context is None:
        return query
    text = context if isinstance(context, str) else repr(context)
    window = window_of(lm)
    if len(text) > _PLAIN_CHARS or (window is not None and len(text) > window and count_tokens(text) > window):
        raise SubcallError(
            "context_window",
            f"at this depth rlm_query is a plain sub-LM call, which cannot hold {len(text):,} characters of context; "
            "cut it into pieces",
        )
    return f"{query}\n\nContext:\n{text}"


def _hand_over(target: Future[Any], source: Future[Any]) -> None:
    """Settles a future as another was settled."""
    if not target.set_running_or_notify_cancel():
        return
    error = SubcallError("lm", "the child was stopped") if source.cancelled() else source.exception()
    if error is None:
        target.set_result(source.result())
    else:
        target.set_exception(error if isinstance(error, Exception) else SubcallError("lm", "the child was stopped"))
