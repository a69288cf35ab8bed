"""The link to one sandbox process: questions and their answers, and the host calls of its cells."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from rlm_module.sandbox.background import io_loop
from rlm_module.sandbox.frames import Frame, Kind, ProtocolError
from rlm_module.sandbox.host_calls import HostCalls
from rlm_module.sandbox.process import DenoProcess
from rlm_module.sandbox.runtime import Runtime

_ANSWER_SECONDS = 60.0
_BYTES_A_SECOND = 1e6  # that a sandbox takes in at least


class Ended(Exception):
    """The process is gone; the text is why."""


class Link:
    """A process, which is started once, and what it was asked. Everything here runs on the background loop.

    Host calls that arrive are given to `calls`. Whatever waits for the process when it ends fails with `Ended`.

    Args:
        ids: Of the questions. They go on from process to process of a session: a cell that forges the answer to one
            question would forge it again when it is run again, if that had the same id.
    """

    def __init__(self, ids: Iterator[int]) -> None:
        self.calls = HostCalls(self._reply)
        self._process: DenoProcess | None = None
        self._starting = asyncio.Lock()
        self._unwanted: str | None = None
        self._is_over = False
        self._ids = ids
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    @property
    def pid(self) -> int | None:
        """The process's id, None while there is none; that of a forked child's parent is not its own."""
        return None if self._process is None or self._process.is_inherited else self._process.pid

    async def start(self, runtime: Runtime, memory_mb: int) -> None:
        """Starts the process and waits until it can be asked.

        Args:
            runtime: What it runs on.
            memory_mb: Cap on its Python's memory, in MiB.

        Raises:
            Ended: If it ended at once, or is no longer wanted.
            SandboxError: If Deno cannot be run.
        """
        ready = self._expect(0)
        async with self._starting:
            process = await DenoProcess.start(runtime, memory_mb, self._on_frame, self._on_end)
            self._process = None if self._is_over else process  # it may have ended before it is known here
        if self._unwanted is not None:
            await self.end(self._unwanted)
        await self._answer(ready, _ANSWER_SECONDS)

    async def end(self, reason: str) -> None:
        """Ends the process, also one that is being started now, and waits until it is gone."""
        self._unwanted = reason
        async with self._starting:
            pass
        if self._process is not None:
            await self._process.kill(reason)

    def begin(self, kind: Kind, body: bytes) -> tuple[int, asyncio.Future[bytes]]:
        """Asks what may take any time; the question's id, and its answer to come."""
        process = self._alive()
        frame_id, answer = self._question()
        process.send(kind, frame_id, body)
        return frame_id, answer

    async def ask(self, kind: Kind, body: bytes) -> bytes:
        """Asks, and returns the answer; a process that gives none for a minute is ended."""
        _, answer = self.begin(kind, body)
        return await self._answer(answer, _ANSWER_SECONDS)

    async def ask_at_length(self, kind: Kind, length: int, chunks: Iterable[bytes]) -> bytes:
        """The same with a body of any size, in pieces of that total length in bytes."""
        process = self._alive()
        frame_id, answer = self._question()
        await process.send_chunks(kind, frame_id, length, chunks)
        return await self._answer(answer, _ANSWER_SECONDS + length / _BYTES_A_SECOND)

    def interrupt(self, frame_id: int) -> None:
        """Tells the process to end the cell that it was asked to run, whose host calls are refused from now on."""
        self.calls.refusing = True
        self._alive().send(Kind.INTERRUPT, frame_id)

    def _alive(self) -> DenoProcess:
        if self._process is None:
            raise Ended("the sandbox process is gone")
        return self._process

    def _question(self) -> tuple[int, asyncio.Future[bytes]]:
        frame_id = next(self._ids)
        return frame_id, self._expect(frame_id)

    def _expect(self, frame_id: int) -> asyncio.Future[bytes]:
        answer: asyncio.Future[bytes] = io_loop().create_future()
        self._waiting[frame_id] = answer
        return answer

    async def _answer(self, answer: asyncio.Future[bytes], seconds: float) -> bytes:
        finished, _ = await asyncio.wait({answer}, timeout=seconds)
        if not finished:
            await self.end(f"no answer within {seconds:.0f} s")
        return answer.result()

    def _on_end(self, reason: str) -> None:
        self._process, self._is_over = None, True
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(Ended(reason))
                answer.exception()  # marks it as seen: not every waiter is still there
        self.calls.end()

    def _on_frame(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.CALL | Kind.START:
                self.calls.take(frame)
            case Kind.DROP:
                self.calls.drop(frame.id)
            case Kind.AWAIT:
                self.calls.wait_for(frame.id)
            case _:
                self._take_answer(frame)

    def _take_answer(self, frame: Frame) -> None:
        if frame.id not in self._waiting or (frame.kind is Kind.READY) != (frame.id == 0):
            raise ProtocolError(f"an answer to a question that was not asked ({frame.id})")
        answer = self._waiting.pop(frame.id)
        if not answer.done():
            answer.set_result(frame.body)

    def _reply(self, call_id: int, answer: bytes) -> None:
        if self._process is not None:
            self._process.send(Kind.ANSWER, call_id, answer)
