"""A model's HTTP server on this machine, for tests and benchmarks: OpenAI's chat completions over real sockets.

What it answers is decided by a function of the request, so that a test can play a slow, broken or lying provider.
Nothing in here imports dspy but `engines`, so that a server in a process of its own starts quickly.
"""

from __future__ import annotations

from tests.model_server.log import Log, Record
from tests.model_server.outcomes import (
    Always,
    Answer,
    ByAttempt,
    Fault,
    Gate,
    HttpError,
    NoChoices,
    NotJson,
    NullContent,
    Outcome,
    Refusal,
    Reply,
    Request,
    Reset,
    Stall,
    StalledStream,
    Trickle,
    Usage,
    WrongUsage,
    content_policy_violation,
    context_length_exceeded,
    rate_limited,
    server_error,
)
from tests.model_server.process import ModelServerProcess
from tests.model_server.server import ModelServer

__all__ = [
    "Always",
    "Answer",
    "ByAttempt",
    "Fault",
    "Gate",
    "HttpError",
    "Log",
    "ModelServer",
    "ModelServerProcess",
    "NoChoices",
    "NotJson",
    "NullContent",
    "Outcome",
    "Record",
    "Refusal",
    "Reply",
    "Request",
    "Reset",
    "Stall",
    "StalledStream",
    "Trickle",
    "Usage",
    "WrongUsage",
    "content_policy_violation",
    "context_length_exceeded",
    "rate_limited",
    "server_error",
]
