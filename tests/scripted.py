"""An LM that plays back replies, and keeps the requests it was sent."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, TypeAlias

import dspy
from dspy.lm15 import (
    Message,
    Request,
    Response,
    StreamDeltaEvent,
    TextDelta,
    TextPart,
    Usage,
    response_to_events,
)

Reply: TypeAlias = "str | Response | BaseException"
Script: TypeAlias = "Iterable[Reply | Callable[[Request], Reply]] | Callable[[Request], Reply]"


def turn(code: str, reasoning: str = "Go on.") -> str:
    """A root reply in ChatAdapter's format."""
    return f"[[ ## reasoning ## ]]\n{reasoning}\n\n[[ ## code ## ]]\n```python\n{code}\n```\n\n[[ ## completed ## ]]"


def fields(**values: object) -> str:
    """A predictor's reply in ChatAdapter's format."""
    return "\n\n".join([*(f"[[ ## {name} ## ]]\n{value}" for name, value in values.items()), "[[ ## completed ## ]]"])


class ScriptedEngine:
    """Plays replies in order, or calls a function for each request; exceptions are raised."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Request] = []
        self.threads: list[threading.Thread] = []
        self._answer = script if callable(script) else None
        self._replies = iter(()) if callable(script) else iter(script)
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Response:
        with self._lock:
            self.requests.append(request)
            self.threads.append(threading.current_thread())
            reply = self._answer if self._answer else next(self._replies, None)
        if callable(reply):
            reply = reply(request)
        if isinstance(reply, BaseException):
            raise reply
        if reply is None:
            raise AssertionError(f"the script is over, but one more request came: {said(request)[-300:]}")
        return reply if isinstance(reply, Response) else response(reply)

    def stream(self, request: Request) -> Iterator[Any]:
        """The reply a word at a time."""
        for event in response_to_events(self.complete(request)):
            if isinstance(event, StreamDeltaEvent) and isinstance(event.delta, TextDelta):
                words = re.findall(r"\s*\S+\s*$|\s*\S+", event.delta.text)
                yield from (StreamDeltaEvent(TextDelta(word)) for word in words)
            else:
                yield event

    def close(self) -> None: ...


class AsyncScriptedEngine:
    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        return self._engine.complete(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        for event in self._engine.stream(request):
            yield event

    async def aclose(self) -> None: ...


class ScriptedLM(dspy.LM):
    """A dspy LM on a `ScriptedEngine`; each call uses 10 tokens and returns 5."""

    def __init__(self, script: Script = (), model: str = "scripted/model", **options: Any) -> None:
        self.script = ScriptedEngine(script)
        options = {"cache": False, "num_retries": 0, **options}
        super().__init__(model, engine=self.script, async_engine=AsyncScriptedEngine(self.script), **options)

    @property
    def requests(self) -> list[Request]:
        return self.script.requests


def response(text: str, *, finish_reason: Any = "stop", usage: Usage | None = None) -> Response:
    return Response(
        id=None,
        model="scripted",
        message=Message.assistant(text),
        finish_reason=finish_reason,
        usage=usage or Usage(input_tokens=10, output_tokens=5),
    )


def texts(request: Request) -> list[tuple[str, str]]:
    """A request's messages as (role, text), the system message first."""
    system = request.system or ""
    if not isinstance(system, str):
        system = "".join(getattr(part, "text", "") for part in system)
    found = [("system", system)] if system else []
    return [*found, *((m.role, "".join(p.text for p in m.parts_of(TextPart))) for m in request.messages)]


def said(request: Request) -> str:
    """A request's last message."""
    return texts(request)[-1][1]
