"""What a request can meet: a reply, or one of the faults of real providers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Json: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True)
class Request:
    """A decoded request. `attempt` counts the requests with this very body, from 1."""

    body: Json
    attempt: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def said(self) -> str:
        """The text of the last message."""
        messages = self.body["messages"]
        return _text(messages[-1]) if messages else ""

    @property
    def words(self) -> int:
        """How many words all messages have together."""
        return sum(len(_text(message).split()) for message in self.body["messages"])


def _text(message: Json) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


class Gate:
    """Holds answers back until it is opened, by whichever thread. It belongs to one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def open(self) -> None:
        with self._lock:
            self._is_open = True
            waiting, self._waiting = self._waiting, []
        for loop, passed in waiting:
            with contextlib.suppress(RuntimeError):  # the server has closed, and nobody waits any more
                loop.call_soon_threadsafe(passed.set)

    async def wait(self) -> None:
        passed = asyncio.Event()
        with self._lock:
            if self._is_open:
                return
            self._waiting.append((asyncio.get_running_loop(), passed))
        await passed.wait()


@dataclass(frozen=True)
class Usage:
    """The tokens that a reply says it used."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True)
class _Delayed:
    """Nothing is sent before `gate` is open and then `latency` seconds have passed."""

    latency: float = field(default=0.0, repr=False)
    gate: Gate | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Reply(_Delayed):
    """A reply that is as it should be, though `length` and `content_filter` say that it isn't whole.

    Without `usage`, a word is a token, in the messages and in the reply.
    """

    text: str = "Well."
    usage: Usage | None = None
    finish_reason: str = "stop"


@dataclass(frozen=True)
class HttpError(_Delayed):
    """A status other than 200, with an error body in OpenAI's form."""

    status: int
    message: str = "It failed."
    type: str = "api_error"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Reset(_Delayed):
    """The connection is reset, with nothing sent, or with the headers and nothing of the body."""

    when: Literal["before_headers", "after_headers"] = "before_headers"


@dataclass(frozen=True)
class Stall(_Delayed):
    """The answer never comes. The connection stays open until the client or the server closes it."""

    when: Literal["before_headers", "after_headers"] = "before_headers"


@dataclass(frozen=True)
class StalledStream(_Delayed):
    """So many chunks of one word, then silence. A request that doesn't stream gets half of its body."""

    chunks: int = 2
    text: str = "one two three four five"


@dataclass(frozen=True)
class Trickle(_Delayed):
    """A good reply, after so many blank lines (in a stream: comments) `every` so many seconds.

    Providers under load send these to keep a connection open, and no client's limit on one read ever acts.
    """

    blanks: int
    every: float
    text: str = "Well."


@dataclass(frozen=True)
class NoChoices(_Delayed):
    """A completion with `choices: []`."""


@dataclass(frozen=True)
class NullContent(_Delayed):
    """A completion whose message is `content: null`, and no tool call explains it."""


@dataclass(frozen=True)
class NotJson(_Delayed):
    """Status 200 and a body that is no JSON, as a proxy in between may send."""

    body: str = "<html>It works!</html>"


@dataclass(frozen=True)
class WrongUsage(_Delayed):
    """A good reply whose `usage` is whatever is given here; None leaves it out."""

    usage: Json | None
    text: str = "Well."


@dataclass(frozen=True)
class Refusal(_Delayed):
    """The model refuses, in the message's own field for it."""

    message: str = "I can't help with that."


Fault: TypeAlias = (
    "HttpError | Reset | Stall | StalledStream | Trickle | NoChoices | NullContent | NotJson | WrongUsage | Refusal"
)
Outcome: TypeAlias = "Reply | Fault"
Answer: TypeAlias = "Callable[[Request], Outcome]"


def rate_limited(retry_after: str | None = None) -> HttpError:
    """A 429; `retry_after` is the header's value, seconds or an HTTP date."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return HttpError(429, "Rate limit reached.", "requests", "rate_limit_exceeded", headers)


def server_error(status: int = 500) -> HttpError:
    return HttpError(status, "The server had an error.", "server_error")


def context_length_exceeded() -> HttpError:
    message = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    return HttpError(400, message, "invalid_request_error", "context_length_exceeded")


def content_policy_violation() -> HttpError:
    message = "Your request was rejected as a result of our safety system."
    return HttpError(400, message, "invalid_request_error", "content_policy_violation")


@dataclass(frozen=True)
class Always:
    """Answers every request alike. Unlike a lambda it can be sent to another process."""

    outcome: Outcome

    def __call__(self, request: Request) -> Outcome:
        return self.outcome


@dataclass(frozen=True)
class ByAttempt:
    """The first outcome for a body that is new, the next for its repetition; the last one for the rest."""

    outcomes: tuple[Outcome, ...]

    def __call__(self, request: Request) -> Outcome:
        return self.outcomes[min(request.attempt, len(self.outcomes)) - 1]
