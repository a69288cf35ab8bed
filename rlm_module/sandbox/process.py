"""One Deno process: starts it, moves frames, and makes sure that it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import cast

from rlm_module.errors import SandboxError
from rlm_module.sandbox.frames import Frame, FrameReader, Kind, ProtocolError, header
from rlm_module.sandbox.runtime import RUNNER, Runtime, deno_environment, sealed_deno

_DIAGNOSTIC_BYTES = 8_192
_PAGE = 65_536  # of WebAssembly memory


class DenoProcess(asyncio.SubprocessProtocol):
    """A sandbox process and its pipes; everything here runs on the background loop.

    Args:
        on_frame: Gets every frame the sandbox sends; a ProtocolError it raises ends the process.
        on_end: Called once, with the reason, when the process is gone or has broken the protocol.
    """

    def __init__(self, on_frame: Callable[[Frame], None], on_end: Callable[[str], None]) -> None:
        self._on_frame = on_frame
        self._on_end = on_end
        self._reader = FrameReader()
        self._diagnostic = b""
        self._reason: str | None = None
        self._signalled = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._transport: asyncio.SubprocessTransport | None = None

    @classmethod
    async def start(
        cls, runtime: Runtime, memory_mb: int, on_frame: Callable[[Frame], None], on_end: Callable[[str], None]
    ) -> DenoProcess:
        """Starts the process; it sends READY when it can take frames.

        Raises:
            SandboxError: If Deno cannot be run.
        """
        process = cls(on_frame, on_end)
        pages = memory_mb * (1 << 20) // _PAGE
        command = [
            *sealed_deno(runtime, f"{runtime.folder},{runtime.snapshot},{RUNNER}"),
            f"--v8-flags=--expose-gc,--wasm-max-mem-pages={pages}",
            str(RUNNER / "main.ts"),
            str(runtime.folder),
            str(runtime.snapshot),
        ]
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: process,
                *command,
                env=deno_environment(runtime),
                cwd=str(runtime.folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C at the terminal is the host's to handle
            )
        except OSError as error:
            raise SandboxError(f"Deno could not be started ({error.strerror}); run `rlm doctor`.") from None
        return process

    @property
    def pid(self) -> int:
        return 0 if self._transport is None else self._transport.get_pid()

    def send(self, kind: Kind, frame_id: int, body: bytes = b"") -> None:
        """Queues a small frame."""
        self._write(header(kind, frame_id, len(body)))
        self._write(body)

    async def send_chunks(self, kind: Kind, frame_id: int, length: int, chunks: Iterable[bytes]) -> None:
        """Sends a frame of any size; no more of it than the pipe takes is held in memory."""
        self._write(header(kind, frame_id, length))
        for chunk in chunks:
            await self._writable.wait()
            if self._gone.is_set():
                return
            self._write(chunk)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            pipe = cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))
            if pipe is not None and not pipe.is_closing():
                pipe.write(data)

    async def kill(self, reason: str) -> None:
        """Ends the process at once and waits until it is gone."""
        self._reason = self._reason or reason
        self._signal()
        await self._gone.wait()

    def _signal(self) -> None:
        if self._transport is None or self._signalled:
            return
        self._signalled = True
        with suppress(ProcessLookupError):
            # Not Transport.kill: it may reap the process before asyncio's child watcher does.
            os.kill(self._transport.get_pid(), signal.SIGKILL)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        pipe = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        pipe.set_write_buffer_limits(high=1 << 20)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._diagnostic = (self._diagnostic + data)[-_DIAGNOSTIC_BYTES:]
            return
        if self._reason is not None:
            return
        try:
            for frame in self._reader.feed(data):
                self._on_frame(frame)
        except ProtocolError as error:
            self._reason = f"the sandbox broke the protocol: {error}"
            self._signal()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            self._writable.set()
        elif fd == 1:
            self._signal()  # no frame can follow, so whatever still runs is of no use

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended and all it wrote has been read."""
        self._gone.set()
        self._writable.set()
        if self._transport is not None:
            self._transport.close()
        self._on_end(self._reason or self._exit_reason())

    def _exit_reason(self) -> str:
        lines = self._diagnostic.decode(errors="replace").splitlines()
        telling = next((line for line in reversed(lines) if line.startswith(("Python crashed", "error:"))), None)
        code = None if self._transport is None else self._transport.get_returncode()
        return telling[:400] if telling else f"the sandbox process ended (exit status {code})"
