"""The server: an event loop in a thread of its own, and one task for each connection."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.model_server import wire
from tests.model_server.log import Log, Recorder
from tests.model_server.outcomes import (
    Always,
    Answer,
    HttpError,
    Outcome,
    Reply,
    Request,
    Reset,
    Stall,
    StalledStream,
    Trickle,
)

_BACKLOG = 1024
_LINE = 1 << 16
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time left: closing sends RST, not FIN


class _Connection(asyncio.StreamReaderProtocol):
    """A connection that knows at once when its client has gone, also while an answer is being thought about."""

    def __init__(self, serve: Callable[[_Connection], None]) -> None:
        self.reader = asyncio.StreamReader(limit=_LINE)
        super().__init__(self.reader)
        self.client_gone = asyncio.Event()
        self._serve = serve

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.writer = asyncio.StreamWriter(transport, self, self.reader, asyncio.get_running_loop())
        self._serve(self)

    def eof_received(self) -> bool | None:
        self.client_gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.client_gone.set()
        super().connection_lost(exc)

    def reset(self) -> None:
        raw: socket.socket = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


class ModelServer:
    """Answers `POST /v1/chat/completions` as `answer` decides, while the context is open.

    `answer` is called in the server's thread, once for each request, and must not block; what it raises is sent as a
    status 500 and raised again when the context closes, as is what a request did wrong. Closing drops the requests in
    flight.
    """

    def __init__(self, answer: Answer | None = None) -> None:
        self._answer: Answer = answer or Always(Reply())
        self._recorder = Recorder()
        self._errors: list[Exception] = []
        self._connections: dict[_Connection, asyncio.Task[None]] = {}
        self._listener: asyncio.Server | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="model-server", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._errors and error is None:
            raise self._errors[0]

    def log(self) -> Log:
        """What has come in so far. A request whose answer a client has in full is seen as ended."""
        return self._recorder.log()

    def wait_until(self, holds: Callable[[Log], bool], timeout: float = 60) -> Log:
        """The log as soon as `holds` is true of it; TimeoutError after so many seconds."""
        return self._recorder.wait_until(holds, timeout)

    async def _open(self) -> None:
        listener = await self._loop.create_server(
            lambda: _Connection(self._accept), "127.0.0.1", 0, backlog=_BACKLOG, start_serving=True
        )
        self._listener = listener
        port: int = listener.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        await asyncio.sleep(0)  # connections that were accepted just now are made in the loop's next round
        tasks = dict(self._connections)
        for connection, task in tasks.items():
            task.cancel()
            connection.transport.abort()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the loop's next round

    def _accept(self, connection: _Connection) -> None:
        task = self._loop.create_task(self._serve(connection))
        self._connections[connection] = task
        task.add_done_callback(lambda _: self._connections.pop(connection, None))

    async def _serve(self, connection: _Connection) -> None:
        try:
            while (incoming := await wire.read_request(connection.reader)) is not None:
                await self._exchange(connection, incoming)
                if not incoming.keeps_alive or connection.transport.is_closing():
                    break
        except Exception as error:
            self._errors.append(error)
        finally:
            connection.transport.close()

    async def _exchange(self, connection: _Connection, incoming: wire.Incoming) -> None:
        if (incoming.method, incoming.path) != ("POST", "/v1/chat/completions"):
            await connection.send(wire.error(HttpError(404, f"There is no {incoming.method} {incoming.path} here.")))
            return
        body = json.loads(incoming.body)
        number = self._recorder.arrive(body)
        request = Request(body, self._recorder.record(number).attempt, incoming.headers)
        answering = asyncio.ensure_future(self._deliver(connection, request, lambda: self._recorder.end(number)))
        leaving = asyncio.ensure_future(connection.client_gone.wait())
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
            self._recorder.end(number, client_left=True)  # without effect if the answer was given
        except ConnectionError:
            self._recorder.end(number, client_left=True)
        finally:
            self._recorder.end(number)
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _deliver(self, connection: _Connection, request: Request, done: Callable[[], None]) -> None:
        """Send what `answer` decides. `done` comes before the last bytes, so that no client is ahead of the log."""
        outcome = self._decide(request)
        if outcome.gate is not None:
            await outcome.gate.wait()
        if outcome.latency:
            await asyncio.sleep(outcome.latency)
        match outcome:
            case Reset() | Stall() | StalledStream():
                await connection.send(wire.beginning(request, outcome))
                if isinstance(outcome, Reset):
                    done()
                    connection.reset()
                else:
                    await connection.client_gone.wait()
            case Trickle():
                head, blank, rest = wire.trickle(request, outcome)
                await connection.send(head)
                for _ in range(outcome.blanks):
                    await connection.send(blank)
                    await asyncio.sleep(outcome.every)
                await self._finish(connection, rest, done)
            case _:
                await self._finish(connection, wire.response(request, outcome), done)

    async def _finish(self, connection: _Connection, parts: list[bytes], done: Callable[[], None]) -> None:
        for part in parts[:-1]:
            await connection.send(part)
        done()
        await connection.send(parts[-1])

    def _decide(self, request: Request) -> Outcome:
        try:
            return self._answer(request)
        except Exception as error:
            self._errors.append(error)
            return HttpError(500, f"The test's answer function raised {error!r}.")
