"""One Deno process: starts it, moves frames, and makes sure that it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import cast

from rlm_module.errors import SandboxError
from rlm_module.sandbox.frames import Frame, FrameReader, Kind, ProtocolError, header
from rlm_module.sandbox.runtime import Runtime
from rlm_module.sandbox.runtime.sealed import deno_environment, session_command

_DIAGNOSTIC_BYTES = 8_192
_MAX_UNREAD = 256 << 20

_processes: weakref.WeakSet[DenoProcess] = weakref.WeakSet()


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
        self.is_inherited = False
        """Whether this is a forked child's copy of what is its parent's."""
        _processes.add(self)

    @classmethod
    async def start(
        cls, runtime: Runtime, memory_mb: int, on_frame: Callable[[Frame], None], on_end: Callable[[str], None]
    ) -> DenoProcess:
        """Starts the process; it sends READY when it can take frames.

        Raises:
            SandboxError: If Deno cannot be run.
        """
        process = cls(on_frame, on_end)
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: process,
                *session_command(runtime, memory_mb),
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
        pipe = self._stdin()
        if pipe is not None and pipe.get_write_buffer_size() > _MAX_UNREAD:
            self._break("does not read what it asked for")

    async def send_chunks(self, kind: Kind, frame_id: int, length: int, chunks: Iterable[bytes]) -> None:
        """Sends a frame of any size; no more of it than the pipe takes is held in memory."""
        self._write(header(kind, frame_id, length))
        for chunk in chunks:
            await self._writable.wait()
            if self._gone.is_set():
                return
            self._write(chunk)

    def _write(self, data: bytes) -> None:
        pipe = self._stdin()
        if pipe is not None and not pipe.is_closing():
            pipe.write(data)

    def _stdin(self) -> asyncio.WriteTransport | None:
        if self._transport is None:
            return None
        return cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))

    async def kill(self, reason: str) -> None:
        """Ends the process at once and waits until it is gone; leaves that of a parent alone."""
        if self.is_inherited:
            return
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
            self._break(str(error))

    def _break(self, fault: str) -> None:
        self._reason = self._reason or f"the sandbox broke the protocol: {fault}"
        self._signal()

    def disown(self) -> None:
        """In a forked child: closes its copies of the pipes, which would keep the process alive without its host."""
        self.is_inherited = True
        for fd in range(3):
            pipe = None if self._transport is None else self._transport.get_pipe_transport(fd)
            if pipe is not None:
                pipe.get_extra_info("pipe").close()

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


def _disown_all() -> None:
    for process in list(_processes):
        process.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
