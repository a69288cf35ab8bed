"""Bytes from and to the client: HTTP/1.1, completions and their chunks in OpenAI's form."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tests.model_server.outcomes import (
    HttpError,
    Json,
    NoChoices,
    NotJson,
    NullContent,
    Refusal,
    Reply,
    Request,
    Reset,
    Stall,
    StalledStream,
    Trickle,
    Usage,
    WrongUsage,
)

LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Incoming:
    """A request as HTTP sees it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"


async def read_request(reader: asyncio.StreamReader) -> Incoming | None:
    """The next request of a connection; None when the client has closed it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _version = first.split(" ")
        pairs = (line.split(":", 1) for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Incoming(method, path, headers, body)


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def whole(status: int, body: bytes, headers: Mapping[str, str] | None = None, kind: str = "application/json") -> bytes:
    """A response of known length."""
    return head(status, {**_length(body, kind), **(headers or {})}) + body


def _length(body: bytes, kind: str = "application/json") -> dict[str, str]:
    return {"Content-Type": kind, "Content-Length": str(len(body))}


def error(fault: HttpError) -> bytes:
    content: Json = {"message": fault.message, "type": fault.type, "param": None, "code": fault.code}
    return whole(fault.status, json.dumps({"error": content}).encode(), fault.headers)


def stream_head(kind: str = "text/event-stream") -> bytes:
    return head(200, {"Content-Type": kind, "Transfer-Encoding": "chunked"})


def chunk(payload: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(payload), payload)


def event(data: Json | str) -> bytes:
    """A server-sent event, as one chunk of the transfer."""
    return chunk(f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode())


@dataclass(frozen=True)
class Completion:
    """What plain and streamed answers both are made of."""

    request: Request
    text: str | None
    finish_reason: str
    usage: Json | None
    refusal: str | None = None
    has_choices: bool = True

    def plain(self) -> bytes:
        message: Json = {"role": "assistant", "content": self.text, "refusal": self.refusal}
        choice: Json = {"index": 0, "message": message, "finish_reason": self.finish_reason, "logprobs": None}
        body = self._body("chat.completion", [choice] if self.has_choices else [])
        return json.dumps(body if self.usage is None else {**body, "usage": self.usage}).encode()

    def events(self) -> Iterator[bytes]:
        """The chunks of a stream, a word each; the last is the end mark of the events, not of the transfer."""
        words: list[str] = re.findall(r"\s*\S+\s*$|\s*\S+", self.text or "")
        yield self._chunk({"role": "assistant", "content": None if self.text is None else ""})
        yield from (self._chunk({"content": word}) for word in words)
        if self.refusal is not None:
            yield self._chunk({"refusal": self.refusal})
        yield self._chunk({}, self.finish_reason)
        if self.usage is not None and (self.request.body.get("stream_options") or {}).get("include_usage"):
            yield event({**self._body("chat.completion.chunk", []), "usage": self.usage})
        yield event("[DONE]")

    def _chunk(self, delta: Json, finish_reason: str | None = None) -> bytes:
        choice: Json = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return event(self._body("chat.completion.chunk", [choice] if self.has_choices else []))

    def _body(self, kind: str, choices: list[Json]) -> dict[str, Any]:
        model = self.request.body.get("model", "")
        return {"id": "chatcmpl-local", "object": kind, "created": 1_700_000_000, "model": model, "choices": choices}


def response(
    request: Request, outcome: Reply | HttpError | NotJson | NoChoices | NullContent | WrongUsage | Refusal
) -> list[bytes]:
    """An answer as the parts in which it is sent."""
    if isinstance(outcome, HttpError):
        return [error(outcome)]
    if isinstance(outcome, NotJson):
        return [whole(200, outcome.body.encode(), kind="text/html")]
    completion = _completion(request, outcome)
    return [stream_head(), *completion.events(), LAST_CHUNK] if request.streams else [whole(200, completion.plain())]


def trickle(request: Request, outcome: Trickle) -> tuple[bytes, bytes, list[bytes]]:
    """The head of a slow answer, what to repeat, and the rest."""
    completion = _completion(request, Reply(outcome.text))
    if request.streams:
        return stream_head(), chunk(b": waiting\n\n"), [*completion.events(), LAST_CHUNK]
    return stream_head("application/json"), chunk(b"\n"), [chunk(completion.plain()), LAST_CHUNK]


def beginning(request: Request, outcome: Reset | Stall | StalledStream) -> bytes:
    """What is sent of an answer that never becomes whole."""
    if isinstance(outcome, StalledStream):
        completion, chunks = _completion(request, Reply(outcome.text)), outcome.chunks
    elif outcome.when == "after_headers":
        completion, chunks = _completion(request, Reply()), -1
    else:
        return b""
    if request.streams:
        return b"".join([stream_head(), *list(completion.events())[: chunks + 1]])
    body = completion.plain()
    return head(200, _length(body)) + (body[: len(body) // 2] if chunks >= 0 else b"")


def _completion(request: Request, outcome: Reply | NoChoices | NullContent | WrongUsage | Refusal) -> Completion:
    match outcome:
        case Reply(text=text, finish_reason=reason, usage=usage):
            return Completion(request, text, reason, _usage(request, text, usage))
        case NoChoices():
            return Completion(request, None, "stop", _usage(request, ""), has_choices=False)
        case NullContent():
            return Completion(request, None, "stop", _usage(request, ""))
        case WrongUsage(usage=usage, text=text):
            return Completion(request, text, "stop", usage)
        case Refusal(message=message):
            return Completion(request, None, "stop", _usage(request, message), refusal=message)


def _usage(request: Request, text: str, usage: Usage | None = None) -> Json:
    told = usage or Usage(request.words, len(text.split()))
    return {
        "prompt_tokens": told.prompt_tokens,
        "completion_tokens": told.completion_tokens,
        "total_tokens": told.prompt_tokens + told.completion_tokens,
    }
