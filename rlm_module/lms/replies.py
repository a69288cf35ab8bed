"""Replies that an earlier part of a run has paid for and made no use of, since what asked for them had not ended: a
predictor of several steps is one call of generated code, which a resumed run makes again from its first step.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from rlm_module.events import Acted, AnyEvent, CallFinished, Extracted, LMCalled, RunFinished
from rlm_module.host.subcalls import is_whole, model_name, text_of
from rlm_module.sandbox.codec import decode, encode_as_text


class Replies:
    """Those of a run, by the node and the call that asked (none for turns and extraction) and by what was asked: the
    nth equal request gets the nth reply.
    """

    def __init__(self) -> None:
        self._unused: dict[tuple[int, int | None], dict[str, deque[LMCalled]]] = defaultdict(dict)
        self._lock = threading.Lock()

    def learn(self, event: AnyEvent) -> None:
        """Takes in what happened; to be told everything, in order."""
        match event:
            case LMCalled() if event.key:
                self._unused[event.node, event.call].setdefault(event.key, deque()).append(event)
            case CallFinished() if event.answer is not None:
                self._unused.pop((event.node, event.call), None)
            case Acted() | Extracted():
                self._unused.pop((event.node, None), None)
            case RunFinished() if event.reason == "error":  # the same replies would lead to the same end
                self._unused.pop((event.node, None), None)
            case _:
                pass

    def has_for(self, node: int, call: int | None) -> bool:
        """Whether there is any for a call."""
        return (node, call) in self._unused

    def take(self, node: int, call: int | None, key: str) -> LMCalled | None:
        """The LM call that an equal request led to; None if there is none, or none that was not taken."""
        with self._lock:
            known = self._unused[node, call].get(key) if self.has_for(node, call) else None
            return known.popleft() if known else None


def request_key(lm: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    """Digest of a request to an LM, which equal ones share."""
    sample = (getattr(lm, "kwargs", None) or {}).get("rollout_id")
    asked = model_name(lm), sample, args, sorted(options.items(), key=lambda item: item[0])
    return hashlib.sha256(repr(asked).encode("utf-8", "surrogatepass")).hexdigest()


def lasting(reply: Any, entry: Mapping[str, Any] | None) -> tuple[bool, str | None]:
    """What has to be kept of a reply so that it can be given again.

    Args:
        reply: What the LM returned.
        entry: The history entry of the call, if there is one.

    Returns:
        Whether it can be given again at all, which one cannot that was refused or cut short, since its text does not
        tell; and what was returned, as the text of `sandbox.codec`, where that is more than the text of the reply.
    """
    if not isinstance(reply, (list, str)) or not is_whole(reply, entry):
        return False, None
    if reply == [text_of(reply)]:
        return True, None
    try:
        return True, encode_as_text(to_jsonable_python(reply))
    except (PydanticSerializationError, ValueError, RecursionError):
        return False, None


def returned(event: LMCalled) -> Any:
    """What the LM returned in a call whose reply can be given again."""
    return [event.reply] if event.answer is None else decode(event.answer.encode())
