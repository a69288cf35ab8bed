"""Sub-LMs: which one a call means, how it is asked, and what kind of failure an error is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.lm15 import RefusalPart, Response

from rlm_module.errors import LimitReached, SubcallError, SubcallErrorKind, describe
from rlm_module.prompting.shown import without_secrets

_REFUSED = ("content_filter", "content_policy", "safety", "refusal")
_MESSAGE_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Models:
    """The LMs that sub-calls may go to.

    Args:
        default: The one that is asked where no name is given; None if there is none.
        named: Others by the names that generated code may choose.
        guidance: What they are told before each prompt.
    """

    default: Any
    named: Mapping[str, Any]
    guidance: str = ""

    def resampled_as(self, root: Any) -> Models:
        """The same beside a root LM that is a sample with a `rollout_id`, as `dspy.BestOfN` and optimizers make them.

        Sub-LMs get it, too, else their caches would give each sample the same answers.
        """
        sample = _options(root)
        if sample.get("rollout_id") is None:
            return self
        named = {name: _resampled(lm, sample) for name, lm in self.named.items()}
        return Models(_resampled(self.default, sample), named, self.guidance)

    def find(self, name: Any) -> Any:
        """The LM of that name, or the default.

        Raises:
            SubcallError: If there is none.
        """
        if name is not None:
            if not isinstance(name, str) or name not in self.named:
                known = ", ".join(repr(known) for known in self.named) or "none"
                raise SubcallError("invalid", f"there is no model {name!r}; leave it out or choose from: {known}")
            return self.named[name]
        if self.default is None:
            raise SubcallError("lm", "no sub-LM is configured; go on without one")
        return self.default


def _resampled(lm: Any, sample: Mapping[str, Any]) -> Any:
    if not isinstance(lm, dspy.BaseLM) or _options(lm).get("rollout_id") is not None:
        return lm
    changes = {"rollout_id": sample["rollout_id"]}
    if _options(lm).get("temperature") == 0 and sample.get("temperature"):
        changes["temperature"] = sample["temperature"]  # at 0 one sample is as the other
    return lm.copy(**changes)


def _options(lm: Any) -> Mapping[str, Any]:
    return getattr(lm, "kwargs", None) or {}


def is_async_only(lm: Any) -> bool:
    """Whether an LM can only be awaited: a coroutine function, or a dspy LM with `aforward` alone."""
    kind: Any = type(lm)
    if not isinstance(lm, dspy.BaseLM):
        return inspect.iscoroutinefunction(lm) or inspect.iscoroutinefunction(kind.__call__)
    is_legacy = not hasattr(lm, "_engine_spec")
    return is_legacy and kind.forward is dspy.BaseLM.forward and kind.aforward is not dspy.BaseLM.aforward


def model_name(lm: Any) -> str:
    """What usage of an LM is booked under."""
    return str(getattr(lm, "model", None) or getattr(lm, "__name__", type(lm).__name__))


def reply_text(reply: Any, entry: Mapping[str, Any] | None) -> str:
    """The text of an LM's reply.

    Args:
        reply: What calling the LM returned: a list of outputs, a `dspy.lm15.Response` or a str.
        entry: The history entry of the call, if there is one: it tells how the reply ended.

    Raises:
        SubcallError: If it was cut short or refused, or holds no text. An empty text is none: a provider that lost
            the reply sends it, too, and dspy's engines don't tell the two apart.
    """
    response = _response(reply, entry)
    reason = _finish_reason(response)
    text = text_of(reply)
    if reason == "content_filter" or _refusals(response):
        raise SubcallError("refusal", _refusals(response) or "the model's provider filtered the reply; rephrase it")
    if reason == "length":
        raise SubcallError(
            "truncated",
            f"the reply was cut off after {len(text or ''):,} characters; ask for less, or in smaller pieces",
        )
    if text is None or not text.strip():
        raise SubcallError(
            "unparsable", "the model's reply holds no text; ask again, and ask for a word where nothing is found"
        )
    return text


def is_whole(reply: Any, entry: Mapping[str, Any] | None) -> bool:
    """Whether a reply was neither cut short nor refused."""
    response = _response(reply, entry)
    return _finish_reason(response) not in ("content_filter", "length") and not _refusals(response)


def as_subcall_error(error: Exception) -> SubcallError:
    """The typed failure that generated code sees for whatever a sub-call raised."""
    if isinstance(error, SubcallError):
        return error
    if isinstance(error, LimitReached):
        return SubcallError("budget", f"{error}; go on with code alone, or submit what you have")
    kind: SubcallErrorKind = "lm"
    if isinstance(error, dspy.ContextWindowExceededError):
        kind = "context_window"
    elif is_timeout(error):
        kind = "timeout"
    elif isinstance(error, dspy.AdapterParseError):
        kind = "unparsable"
    elif str(getattr(error, "provider_code", "")).lower().startswith(_REFUSED):
        kind = "refusal"
    return SubcallError(kind, without_secrets(describe(error))[:_MESSAGE_CHARS])


def text_of(reply: Any) -> str | None:
    """The text of whatever calling an LM returned, None if it holds none."""
    if isinstance(reply, Response):
        reply = reply.text
    elif isinstance(reply, list) and reply:
        reply = reply[0].get("text") if isinstance(reply[0], dict) else reply[0]
    return reply if isinstance(reply, str) else None


def is_timeout(error: BaseException | None) -> bool:
    """Whether nothing came in time. dspy's engine calls it a lost connection where the silence is within a reply."""
    return isinstance(error, (dspy.LMTimeoutError, TimeoutError)) or (
        isinstance(error, dspy.LMTransportError) and "timed out" in str(error)
    )


def _response(reply: Any, entry: Mapping[str, Any] | None) -> Any:
    return reply if isinstance(reply, Response) else (entry or {}).get("response")


def _finish_reason(response: Any) -> str | None:
    return getattr(_first(response), "finish_reason", None)


def _refusals(response: Any) -> str:
    first = _first(response)
    if isinstance(first, Response):
        return " ".join(part.text for part in first.message.parts_of(RefusalPart))
    message = getattr(first, "message", None)
    fields = getattr(message, "provider_specific_fields", None) or {}  # where litellm puts what it does not know
    refusal = getattr(message, "refusal", None) or (fields.get("refusal") if isinstance(fields, Mapping) else None)
    return refusal if isinstance(refusal, str) else ""


def _first(response: Any) -> Any:
    """The reply that counts: of a tuple of them, or of a completion's choices."""
    if isinstance(response, (list, tuple)):
        return response[0] if response else None
    choices = getattr(response, "choices", None)
    return choices[0] if choices else response
