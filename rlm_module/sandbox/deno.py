"""A session in a Deno process: one Pyodide, kept within its limits, and brought back when it had to be killed."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import replace
from itertools import chain

from rlm_module.errors import InputError, SandboxError, describe
from rlm_module.sandbox import memory
from rlm_module.sandbox.background import in_thread, io_loop, submit
from rlm_module.sandbox.base import CellResult, Dispatch, Setup
from rlm_module.sandbox.codec import CodecError, decode, encode, encode_chunks
from rlm_module.sandbox.frames import Frame, Kind, ProtocolError
from rlm_module.sandbox.host_calls import HostCalls, to_plain
from rlm_module.sandbox.process import DenoProcess
from rlm_module.sandbox.replay import Answers, Loaded, Lost, Ran, Step, assigned_names, lost_names
from rlm_module.sandbox.results import killed_result, read_result, split_clock
from rlm_module.sandbox.runtime import discard_damaged_snapshot, ensure_runtime, locate_runtime

_START_SECONDS = 60.0
_TICK_SECONDS = 0.05
_GRACE_SECONDS = 2.0
_MEMORY_SLACK = 512 << 20
_BASE_MEMORY = 48 << 20
_CELL_FIELDS = struct.Struct("<II")


class _Ended(Exception):
    """The process is gone; the text is why."""


class DenoSession:
    """A sandbox `Session` on Deno and Pyodide.

    What the code does wrong ends in its cell. A cell that runs over `cell_seconds` is interrupted with its variables
    kept; where that has no effect within two seconds, or where the process outgrows its memory, exits, or breaks the
    protocol, the process is killed and the next use of the session rebuilds it by running the recorded cells again
    with the answers their host calls got.

    Args:
        memory_mb: Cap on Python's memory in MiB; the whole process is killed at 512 MiB more.
        cell_seconds: Longest time that a cell's Python runs; waiting for the host doesn't count.
        max_output_chars: Characters of stdout, of stderr and of the value that a cell may return; the middle of what
            is longer is left out in the sandbox.
    """

    def __init__(self, *, memory_mb: int = 2048, cell_seconds: float = 120.0, max_output_chars: int = 100_000) -> None:
        if not 64 <= memory_mb <= 4096:
            raise InputError(f"memory_mb must be between 64 and 4096, not {memory_mb}.")
        if not cell_seconds > 0:
            raise InputError(f"cell_seconds must be above 0, not {cell_seconds}.")
        if max_output_chars < 1:
            raise InputError(f"max_output_chars must be at least 1, not {max_output_chars}.")
        self._memory_mb = memory_mb
        self._cell_seconds = cell_seconds
        self._max_output_chars = max_output_chars
        self._setup = Setup()
        self._dispatch: Dispatch | None = None
        self._process: DenoProcess | None = None
        self._closed = False
        self._steps: list[Step] = []
        self._cells = 0
        self._last_id = 0
        self._running: int | None = None
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._calls = HostCalls(self._reply)
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Process id of the sandbox, None while there is none."""
        return None if self._process is None or self._process.is_inherited else self._process.pid

    def start(self, setup: Setup, dispatch: Dispatch) -> Future[None]:
        """See `Session.start`."""
        self._setup, self._dispatch = setup, dispatch
        return submit(self._start())

    def check_fits(self, inputs: Mapping[str, object]) -> None:
        """Refuses inputs that together would outgrow the sandbox, before anything is started or paid for.

        Raises:
            InputError: If they would.
        """
        if not inputs:
            return
        needs = {name: _need(name, value) for name, value in inputs.items()}
        needed = (sum(needs.values()) + _BASE_MEMORY) >> 20
        if needed > self._memory_mb:
            largest = max(needs, key=lambda name: needs[name])
            raise InputError(
                f"Input {largest!r} is too large: the inputs need {needed:,} MiB in the sandbox, which has "
                f"{self._memory_mb:,}; pass less, or an interpreter_factory with a higher memory_mb (4096 at most)."
            )

    def register(self, setup: Setup) -> Future[None]:
        """Changes the host's functions and SUBMIT's fields of a started session."""
        self._setup = setup
        return submit(self._register())

    def load(self, name: str, value: object) -> Future[None]:
        """See `Session.load`."""
        return submit(self._load(Loaded(name, value)))

    def execute(self, code: str, clock: bytes = b"") -> Future[CellResult]:
        """See `Session.execute`."""
        return submit(self._execute(code, clock))

    def lose(self, names: tuple[str, ...]) -> Future[None]:
        """See `Session.lose`."""
        return submit(self._lose(names))

    def interrupt(self) -> None:
        """See `Session.interrupt`."""
        submit(self._interrupt())

    def close(self) -> None:
        """See `Session.close`."""
        self._closed = True
        with suppress(TimeoutError, CancelledError):  # where Python shuts down; the process ends as its stdin closes
            submit(self._end("the session was closed")).result(timeout=10)

    # Everything below runs on the background loop.

    async def _start(self) -> None:
        runtime = locate_runtime()
        if not runtime.ready:
            runtime = await in_thread(ensure_runtime)
        try:
            await self._boot()
        except _Ended as ended:
            if self._closed:
                raise SandboxError(f"The sandbox was lost: {ended}.") from None
            if not await in_thread(lambda: discard_damaged_snapshot(runtime)):
                raise SandboxError(f"The sandbox does not start ({ended}); run `rlm doctor`.") from None
            await in_thread(ensure_runtime)
            try:
                await self._boot()
            except _Ended as again:
                raise SandboxError(f"The sandbox does not start ({again}); run `rlm doctor`.") from None

    async def _boot(self) -> None:
        if self._closed:
            raise _Ended("the session was closed")
        ready = self._expect(0)
        async with self._starting:
            self._process = await DenoProcess.start(locate_runtime(), self._memory_mb, self._on_frame, self._on_end)
        if self._closed:
            await self._process.kill("the session was closed")
            raise _Ended("the session was closed")
        await self._within(_START_SECONDS, ready)
        await self._send_setup()

    async def _register(self) -> None:
        try:
            await self._revive()
            await self._send_setup()
        except _Ended as ended:
            raise SandboxError(f"The sandbox was lost: {ended}.") from None

    async def _send_setup(self) -> None:
        assert self._dispatch is not None
        self._calls.serve(self._dispatch, frozenset(function.name for function in self._setup.functions))
        functions = [[f.name, f.signature, f.doc, f.ahead, f.typed] for f in self._setup.functions]
        outputs = None if self._setup.outputs is None else list(self._setup.outputs)
        await self._ask(
            Kind.SETUP,
            encode(
                {
                    "functions": functions,
                    "outputs": outputs,
                    "optional": list(self._setup.optional),
                    "seed": self._setup.seed,
                    "output_limit": self._max_output_chars,
                    "ahead": self._setup.ahead,
                }
            ),
        )

    async def _load(self, step: Loaded) -> None:
        try:
            await self._revive()
            await self._send_value(step)
        except _Ended as ended:
            raise SandboxError(f"The sandbox was lost while {step.name!r} was loaded: {ended}.") from None
        self._steps.append(step)

    async def _send_value(self, step: Loaded) -> None:
        length, chunks = await in_thread(lambda: self._prepare(step))
        name = step.name.encode()
        prefix = struct.pack("<H", len(name)) + name
        frame_id, done = self._request()
        await self._alive().send_chunks(Kind.LOAD, frame_id, len(prefix) + length, chain((prefix,), chunks))
        fault = decode(await self._within(_START_SECONDS + length / 1e6, done))
        if fault is not None:
            raise InputError(
                f"Input {step.name!r} cannot be loaded ({str(fault)[:200]}); pass another or a smaller one."
            )

    def _prepare(self, step: Loaded) -> tuple[int, Iterator[bytes]]:
        self.check_fits({step.name: step.value})
        try:
            return encode_chunks(step.value, to_plain)
        except CodecError as error:
            raise InputError(f"Input {step.name!r}: {error}.") from None

    async def _interrupt(self) -> None:
        if self._process is not None and self._running is not None:
            self._calls.refusing = True
            self._process.send(Kind.INTERRUPT, self._running)

    async def _lose(self, names: tuple[str, ...]) -> None:
        try:
            await self._revive()
            await self._ask(Kind.FORGET, encode(list(names)))
        except _Ended as ended:
            raise SandboxError(f"The sandbox was lost: {ended}.") from None
        self._steps.append(Lost(self._cells, names))
        self._cells += 1

    async def _execute(self, code: str, clock: bytes) -> CellResult:
        began = time.perf_counter()
        record = Ran(self._cells, code, clock)
        self._cells += 1
        try:
            await self._revive()
        except _Ended as ended:
            if self._closed:
                raise SandboxError(f"The sandbox was lost: {ended}.") from None
            # What is on record ends the process again: the next cell finds the inputs as they were, and no more.
            self._steps = [Lost(s.number, assigned_names(s.code)) if isinstance(s, Ran) else s for s in self._steps]
            fault = f"it ended again while its cells were run again ({ended}). This cell did not run"
            return killed_result(fault, lost_names(self._steps), time.perf_counter() - began)
        try:
            result = read_result(await self._run(record, None))
        except CodecError as error:
            await self._end("its result could not be read")
            return killed_result(
                f"the sandbox broke the protocol: {error}", lost_names(self._steps), time.perf_counter() - began
            )
        except _Ended as ended:
            if self._closed:
                raise SandboxError(f"The sandbox was lost: {ended}.") from None
            return killed_result(str(ended), lost_names(self._steps), time.perf_counter() - began)
        if result.error is not None and result.error.kind == "interrupted" and result.final is None:
            self._steps.append(Lost(record.number, assigned_names(code)))
        else:
            self._steps.append(record)
        return replace(result, seconds=time.perf_counter() - began, clock=record.clock)

    async def _run(self, cell: Ran, recorded: Answers | None) -> bytes:
        """Runs a cell under supervision, with the recorded answers where it is a replay.

        Raises:
            _Ended: If the process had to be killed, or ended by itself.
        """
        frame_id, done = self._request()
        fields = _CELL_FIELDS.pack(cell.number, len(cell.clock))
        body = fields + cell.clock + cell.code.encode("utf-8", "surrogatepass")
        self._calls.begin(cell, recorded)
        self._running = frame_id
        try:
            self._alive().send(Kind.CELL, frame_id, body)
            await self._supervise(frame_id, done)
            cell.clock, result = split_clock(done.result())
            return result
        finally:
            self._running = None
            self._calls.end()

    async def _supervise(self, frame_id: int, done: asyncio.Future[bytes]) -> None:
        process = self._alive()
        loop = asyncio.get_running_loop()
        spent, next_interrupt = 0.0, self._cell_seconds
        while not done.done():
            before = loop.time()
            await asyncio.wait({done}, timeout=_TICK_SECONDS)
            if not self._calls.waiting:
                spent += loop.time() - before
            if memory.resident(process.pid) > (self._memory_mb << 20) + _MEMORY_SLACK:
                await process.kill(f"it took more memory than its {self._memory_mb:,} MiB")
            elif spent > self._cell_seconds + _GRACE_SECONDS:
                await process.kill(f"it ran over the limit of {self._cell_seconds:g} s and could not be interrupted")
            elif spent > next_interrupt:
                self._calls.refusing = True
                next_interrupt = spent + _GRACE_SECONDS / 4
                process.send(Kind.INTERRUPT, frame_id)

    async def _revive(self) -> None:
        """Brings a killed sandbox back to its state before the cell that killed it."""
        if self._closed:
            raise SandboxError("The session was closed; create a new one.")
        if self._process is not None and not self._process.is_inherited:
            return
        if self._dispatch is None:
            raise SandboxError("The session was not started; call start first.")
        self._waiting.clear()  # in a forked child: the parent waits for these
        self._calls = HostCalls(self._reply)
        self._starting = asyncio.Lock()
        await self._start()
        for step in self._steps:
            match step:
                case Loaded():
                    await self._send_value(step)
                case Ran():
                    await self._run(step, Answers(step))
                case Lost():
                    await self._ask(Kind.FORGET, encode(list(step.names)))

    async def _end(self, reason: str) -> None:
        async with self._starting:  # a process that is being started now is to be ended, too
            pass
        if self._process is not None:
            await self._process.kill(reason)

    def _alive(self) -> DenoProcess:
        if self._process is None:
            raise _Ended("the sandbox process is gone")
        return self._process

    def _expect(self, frame_id: int) -> asyncio.Future[bytes]:
        done: asyncio.Future[bytes] = io_loop().create_future()
        self._waiting[frame_id] = done
        return done

    def _request(self) -> tuple[int, asyncio.Future[bytes]]:
        self._last_id += 1
        return self._last_id, self._expect(self._last_id)

    async def _ask(self, kind: Kind, body: bytes) -> bytes:
        frame_id, done = self._request()
        self._alive().send(kind, frame_id, body)
        return await self._within(_START_SECONDS, done)

    async def _within(self, seconds: float, done: asyncio.Future[bytes]) -> bytes:
        finished, _ = await asyncio.wait({done}, timeout=seconds)
        if not finished:
            await self._alive().kill(f"no answer within {seconds:.0f} s")
        return done.result()

    def _on_end(self, reason: str) -> None:
        self._process = None
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            if not done.done():
                done.set_exception(_Ended(reason))
                done.exception()  # marks it as seen: not every waiter is still there
        self._calls.end()

    def _on_frame(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.CALL | Kind.START:
                self._calls.take(frame)
            case Kind.DROP:
                self._calls.drop(frame.id)
            case Kind.AWAIT:
                self._calls.wait_for(frame.id)
            case _:
                self._take_answer(frame)

    def _take_answer(self, frame: Frame) -> None:
        if frame.id not in self._waiting or (frame.kind is Kind.READY) != (frame.id == 0):
            raise ProtocolError(f"an answer to a question that was not asked ({frame.id})")
        done = self._waiting.pop(frame.id)
        if not done.done():
            done.set_result(frame.body)

    def _reply(self, call_id: int, answer: bytes) -> None:
        if self._process is not None:
            self._process.send(Kind.ANSWER, call_id, answer)


def _need(name: str, value: object) -> int:
    try:
        return memory.need(value)
    except Exception as error:  # a value of the user's may do anything when it is looked at
        raise InputError(f"Input {name!r} cannot be read ({describe(error)}); pass plain values.") from error
