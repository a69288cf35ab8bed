"""The local model server, seen through both of dspy's engines: what a test asks it to do is what the client meets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from dspy.clients import execution
from dspy.clients.engines.litellm_engine import LiteLLMEngine
from dspy.clients.engines.lm15_engine import LM15Engine
from dspy.lm15 import Message, RouterConfig, StreamDeltaEvent, TextDelta, Timeouts
from dspy.lm15 import Request as CanonicalRequest
from dspy.utils.exceptions import ContextWindowExceededError, LMError, LMRateLimitError, LMTransportError

from tests.model_server import (
    Always,
    ByAttempt,
    Fault,
    Gate,
    HttpError,
    ModelServer,
    ModelServerProcess,
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
from tests.model_server.engines import ENGINES, Engine, lm

HANG = 60.0

both = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that dspy makes before it tries again; here it makes none."""
    made: list[float] = []
    monkeypatch.setattr(execution.time, "sleep", made.append)
    return made


@both
def test_text_usage_and_finish_reason_arrive(engine: Engine) -> None:
    with ModelServer(lambda request: Reply(f"You said: {request.said}", finish_reason="length")) as server:
        model = lm(server, engine, max_tokens=5)
        assert model("two words") == ["You said: two words"]
        entry = model.history[-1]
        assert (entry["usage"]["prompt_tokens"], entry["usage"]["completion_tokens"]) == (2, 4)
        assert _finish_reason(entry["response"]) == "length"
        assert server.log().requests[0].body["messages"][-1]["content"] == "two words"


def _finish_reason(response: Any) -> str:
    return getattr(response, "finish_reason", None) or response.choices[0].finish_reason


@both
def test_usage_can_be_said(engine: Engine) -> None:
    with ModelServer(Always(Reply(usage=Usage(1000, 200)))) as server:
        model = lm(server, engine, model="openai/gpt-4o-mini")
        model("hello")
        assert model.history[-1]["usage"]["prompt_tokens"] == 1000
        assert model.history[-1]["cost"] == pytest.approx(1000 * 0.15e-6 + 200 * 0.6e-6)


@both
def test_requests_are_in_flight_together(engine: Engine) -> None:
    together, gate = 16, Gate()
    with ModelServer(Always(Reply(gate=gate))) as server, ThreadPoolExecutor(together) as pool:
        model = lm(server, engine)
        calls = [pool.submit(model, f"call {number}") for number in range(together)]
        server.wait_until(lambda log: log.in_flight == together)
        gate.open()
        assert [call.result(HANG) for call in calls] == [["Well."]] * together
        assert server.log().peak_in_flight == together
        assert server.log().in_flight == 0


def test_two_hundred_are_held_at_once() -> None:
    together, gate = 200, Gate()
    with ModelServer(Always(Reply(gate=gate))) as server:
        clients = [_connect(server) for _ in range(together)]
        for client in clients:
            client.sendall(_post({"messages": []}))
        server.wait_until(lambda log: log.in_flight == together)
        gate.open()
        for client in clients:
            with client:
                assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")


def _connect(server: ModelServer) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=HANG)


def _post(body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)


def test_a_connection_serves_one_request_after_another() -> None:
    with ModelServer(lambda request: Reply(str(request.attempt))) as server, _connect(server) as client:
        for attempt in (1, 2):
            client.sendall(_post({"messages": [{"role": "user", "content": "again"}]}))
            assert f'"content": "{attempt}"'.encode() in client.recv(1 << 16)


@both
def test_a_rate_limit_is_met_and_passes(engine: Engine) -> None:
    with ModelServer(ByAttempt((rate_limited("2"), Reply("At last.")))) as server:
        assert lm(server, engine)("hello") == ["At last."]
        assert [record.attempt for record in server.log().requests] == [1, 2]


def test_retry_after_reaches_the_native_engine(waits: list[float]) -> None:
    with ModelServer(ByAttempt((rate_limited("2"), Reply()))) as server:
        lm(server, "lm15")("hello")
        assert waits == [2]


RAISING: list[tuple[Fault, type[Exception]]] = [
    (rate_limited(), LMRateLimitError),
    (rate_limited("1"), LMRateLimitError),
    (server_error(), LMError),
    (context_length_exceeded(), ContextWindowExceededError),
    (content_policy_violation(), LMError),
    (Reset(), LMError),
    (Reset("after_headers"), LMError),
    (NotJson(), LMError),
]


@both
@pytest.mark.parametrize(("fault", "error"), RAISING, ids=str)
def test_a_fault_raises(engine: Engine, fault: Fault, error: type[Exception]) -> None:
    with ModelServer(Always(fault)) as server:
        with pytest.raises(error):
            lm(server, engine, num_retries=0)("hello")
        assert len(server.log().requests) == 1


# What of these is an exception and what a reply differs by engine, and isn't for the server's tests to say.
ODD: list[Outcome] = [
    NoChoices(),
    NullContent(),
    Refusal(),
    Reply("", finish_reason="content_filter"),
    Reply("cut", finish_reason="length"),
    WrongUsage(None),
    WrongUsage({"prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -2}),
    WrongUsage({"prompt_tokens": 10**18, "completion_tokens": 10**18, "total_tokens": 1}),
    WrongUsage({"prompt_tokens": "many", "completion_tokens": "some", "total_tokens": "all"}),
]


@both
@pytest.mark.parametrize("outcome", ODD, ids=str)
def test_an_odd_reply_ends_the_call_somehow(engine: Engine, outcome: Outcome) -> None:
    with ModelServer(Always(outcome)) as server:
        try:
            replies: list[Any] = lm(server, engine, num_retries=0)("hello")
            assert len(replies) <= 1
        except LMError:
            pass
        assert server.log().requests[0].ended is not None


@both
@pytest.mark.parametrize("stall", [Stall(), Stall("after_headers"), StalledStream()], ids=str)
def test_a_stall_ends_by_the_clients_limit(engine: Engine, stall: Fault) -> None:
    with ModelServer(Always(stall)) as server:
        with pytest.raises(LMError):
            lm(server, engine, num_retries=0, timeout=0.3)("hello")
        log = server.wait_until(lambda log: log.in_flight == 0)
        assert [record.client_left for record in log.requests] == [True]


@both
def test_a_reply_is_streamed_by_the_word(engine: Engine) -> None:
    with ModelServer(Always(Reply("one two three", usage=Usage(7, 3)))) as server:
        events = list(_stream(server, engine))
        assert _words(events) == ["one", " two", " three"]
        assert (events[-1].finish_reason, events[-1].usage.input_tokens) == ("stop", 7)
        assert server.log().requests[0].body["stream"] is True


@both
def test_a_stream_stalls_between_words(engine: Engine) -> None:
    events: list[Any] = []
    with ModelServer(Always(StalledStream(2, "one two three"))) as server:
        with pytest.raises(Exception, match=r"(?i)time"):
            events.extend(_stream(server, engine, timeout=1))
        assert _words(events) == ["one", " two"]
        server.wait_until(lambda log: log.requests[0].client_left)


@both
@pytest.mark.parametrize("streams", [False, True])
def test_blank_lines_before_a_reply_are_passed_over(engine: Engine, streams: bool) -> None:
    with ModelServer(Always(Trickle(blanks=5, every=0.01, text="At last."))) as server:
        if streams:
            assert "".join(_words(list(_stream(server, engine)))) == "At last."
        else:
            assert lm(server, engine)("hello") == ["At last."]


def _words(events: list[Any]) -> list[str]:
    deltas = [event.delta for event in events if isinstance(event, StreamDeltaEvent)]
    return [delta.text for delta in deltas if isinstance(delta, TextDelta) and delta.text]


def _stream(server: ModelServer, engine: Engine, timeout: float = HANG) -> Iterator[Any]:
    request = CanonicalRequest(model="openai/test-model", messages=(Message.user("hello"),))
    if engine == "litellm":
        return LiteLLMEngine(api_base=server.url, api_key="not-a-key", timeout=timeout).stream(request)
    config = RouterConfig(
        api_keys={"openai-chat": "not-a-key"},
        base_urls={"openai-chat": server.url},
        timeouts=Timeouts(read=timeout),
    )
    return LM15Engine(config).stream(request)


def test_a_client_that_leaves_is_noticed() -> None:
    with ModelServer(Always(Reply(gate=Gate()))) as server:
        with _connect(server) as client:
            client.sendall(_post({"messages": []}))
            server.wait_until(lambda log: log.in_flight == 1)
        record = server.wait_until(lambda log: log.in_flight == 0).requests[0]
        assert record.client_left
        assert record.ended is not None
        assert record.ended >= record.arrived


def test_closing_drops_what_is_in_flight() -> None:
    before = set(threading.enumerate())
    with ThreadPoolExecutor(1) as pool:
        with ModelServer(Always(Stall())) as server:
            call = pool.submit(lm(server, "lm15", num_retries=0), "hello")
            server.wait_until(lambda log: log.in_flight == 1)
        assert isinstance(call.exception(HANG), LMTransportError)
    assert not set(threading.enumerate()) - before
    assert server.log().in_flight == 0
    with pytest.raises(ConnectionRefusedError):
        _connect(server)


def test_what_the_answer_raises_is_not_lost() -> None:
    with (
        pytest.raises(LookupError, match="hello"),
        ModelServer(_fail) as server,
        pytest.raises(LMError, match="LookupError"),
    ):
        lm(server, num_retries=0)("hello")


def test_another_path_is_not_found() -> None:
    with ModelServer() as server, _connect(server) as client:
        client.sendall(b"GET /v1/models HTTP/1.1\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 404")
        assert server.log().requests == ()


@pytest.mark.parametrize("fault", [HttpError(418, headers={"X-Tea": "green"})])
def test_headers_are_sent(fault: HttpError) -> None:
    with ModelServer(Always(fault)) as server, _connect(server) as client:
        client.sendall(_post({"messages": []}))
        assert b"\r\nX-Tea: green\r\n" in client.recv(1 << 16)


def _fail(request: Request) -> Outcome:
    raise LookupError(request.said)


def test_what_the_answer_raises_in_another_process_is_not_lost() -> None:
    with (
        pytest.raises(RuntimeError, match="standard error"),
        ModelServerProcess(_fail) as server,
        pytest.raises(LMError, match="LookupError"),
    ):
        lm(server, num_retries=0)("hello")


def test_it_runs_in_a_process_of_its_own() -> None:
    with ModelServerProcess(ByAttempt((server_error(), Reply("From afar.")))) as server:
        assert lm(server)("hello") == ["From afar."]
        log = server.log()
        assert (len(log.requests), log.in_flight, log.peak_in_flight) == (2, 0, 1)
