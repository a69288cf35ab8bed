"""Long replies of models whose provider demands a stream for them: asked for as one, returned whole."""

from __future__ import annotations

from typing import Any

import dspy

from rlm_module.host.subcalls import model_name
from rlm_module.host.workers import Coroutines, result_of
from rlm_module.lms.prices import is_managed

LONGEST_UNSTREAMED = 21_000
"""Tokens above which Anthropic's clients refuse a plain call: it could take longer than ten minutes."""

_HOSTS = ("bedrock", "vertex_ai", "azure_ai")


class _Sink:
    """A listener that lets everything go by: that there is one makes dspy stream."""

    async def send(self, chunk: Any) -> None: ...


def has_to_stream(lm: Any, limit: int | None) -> bool:
    """Whether a call has to be a stream: its reply may get long, and the model is Anthropic's, wherever it is hosted.
    A listener of the user's makes dspy stream already. A custom engine decides for itself, unless it can stream.

    Args:
        lm: Whom it goes to.
        limit: Longest reply in tokens; None where none is set.
    """
    if limit is None or limit <= LONGEST_UNSTREAMED or not is_managed(lm) or dspy.settings.send_stream is not None:
        return False
    spec = lm._engine_spec if isinstance(lm._engine_spec, str) else lm._async_engine_spec
    return _is_anthropic(model_name(lm)) and (isinstance(spec, str) or hasattr(spec, "stream"))


def streamed(lm: Any, *args: Any, **options: Any) -> Any:
    """Calls an LM with its reply streamed, and returns what the LM would. dspy streams to an event loop only, so this
    awaits the call on one of its own.
    """
    loop = Coroutines(None)
    try:
        return result_of(loop.submit(streamed_async(lm, *args, **options)))
    finally:
        loop.close()


async def streamed_async(lm: Any, *args: Any, **options: Any) -> Any:
    """The same, awaited."""
    # litellm is told to report the usage of a stream only where dspy tracks it.
    with dspy.context(send_stream=_Sink(), track_usage=True):
        return await lm.acall(*args, **options)


def _is_anthropic(name: str) -> bool:
    provider, _, model = name.lower().rpartition("/") if "/" in name else ("", "", name.lower())
    host = provider.partition("/")[0]
    if host in ("", "anthropic"):
        return host == "anthropic" or model.startswith("claude")
    return host in _HOSTS and ("claude" in model or "anthropic" in name.lower())
