"""Runs as conversations for fine-tuning: what was sent to an LM and what it replied, as chat messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from rlm_module.events import AnyEvent, LMCalled, Role, Scored

_TURNS: frozenset[Role] = frozenset({"root", "child"})


@dataclass(frozen=True, slots=True)
class Conversation:
    """One example to learn from.

    Args:
        messages: Chat messages, the last of which is the LM's reply.
        called: The call that it ended with.
        score: The run's last score, if it has one.
    """

    messages: tuple[Mapping[str, Any], ...]
    called: LMCalled
    score: float | None

    def as_line(self) -> str:
        """The conversation as a JSON object on one line, in ASCII."""
        called = self.called
        return json.dumps(
            {
                "messages": _plain(self.messages),
                "run_id": called.run_id,
                "node": called.node,
                "depth": called.depth,
                "role": called.role,
                "model": called.model,
                "score": self.score,
            }
        )


def last_score(events: Iterable[AnyEvent]) -> float | None:
    """The score that counts."""
    scores = [event.score for event in events if isinstance(event, Scored)]
    return scores[-1] if scores else None


def conversations(
    events: Iterable[AnyEvent], *, min_score: float | None = None, seen: set[str] | None = None
) -> Iterator[Conversation]:
    """The conversations of a run that can be learnt from.

    Turns of a root or child RLM are one conversation as long as each request goes on from the one before; sub-calls
    and extractions are one each. Calls that failed, and those that users' tools made, are left out.

    Args:
        events: The run's.
        min_score: Leaves out the run if its last score is lower, or if it has none.
        seen: Digests of the conversations up to now, added to; one that came from the LM's cache again is left out.
    """
    events = tuple(events)
    score = last_score(events)
    if min_score is not None and (score is None or not score >= min_score):
        return
    seen = set() if seen is None else seen
    for called, messages in _ends(_whole(events)):
        conversation = Conversation((*messages, {"role": "assistant", "content": called.reply}), called, score)
        digest = _digest(conversation)
        if called.usage.cached_calls and digest in seen:
            continue
        seen.add(digest)
        yield conversation


_Exchange = tuple[LMCalled, tuple[Mapping[str, Any], ...]]


def _whole(events: Iterable[AnyEvent]) -> Iterator[_Exchange]:
    """Each LM call with all the messages it was sent; none for one that follows on what the record lacks."""
    sent: dict[tuple[int, Role], tuple[Mapping[str, Any], ...] | None] = {}
    for event in events:
        if not isinstance(event, LMCalled):
            continue
        before = sent.get((event.node, event.role), ())
        messages: tuple[Mapping[str, Any], ...] | None = None
        if event.shared == 0:
            messages = event.messages
        elif before is not None and 0 < event.shared <= len(before):
            messages = (*before[: event.shared], *event.messages)
        sent[event.node, event.role] = messages
        if messages is not None:
            yield event, messages


def _ends(exchanges: Iterable[_Exchange]) -> Iterator[_Exchange]:
    """Those that no later one goes on from, in the order in which they ended."""
    open_chains: dict[tuple[int, Role], _Exchange] = {}
    for called, messages in exchanges:
        if called.error is not None or called.role == "tool":
            continue
        if called.role not in _TURNS:
            yield called, messages
            continue
        chain = called.node, called.role
        last = open_chains.get(chain)
        if last is not None and not _goes_on(last[1], messages):
            yield last
        open_chains[chain] = called, messages
    yield from open_chains.values()


def _goes_on(before: tuple[Mapping[str, Any], ...], messages: tuple[Mapping[str, Any], ...]) -> bool:
    """Whether a request holds the one before and what was replied to it."""
    count = len(before)
    return len(messages) > count and messages[:count] == before and messages[count].get("role") == "assistant"


def _digest(conversation: Conversation) -> str:
    text = json.dumps([conversation.called.model, _plain(conversation.messages)])
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(messages: tuple[Mapping[str, Any], ...]) -> Any:
    return to_jsonable_python(messages, bytes_mode="base64", fallback=str)
