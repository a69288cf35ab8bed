"""A session in a Deno process: one Pyodide, kept within its limits, and brought back when it had to be killed."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import replace
from itertools import chain, count

from rlm_module.errors import InputError, SandboxError, describe
from rlm_module.sandbox import memory
from rlm_module.sandbox.background import in_thread, submit
from rlm_module.sandbox.base import CellResult, Dispatch, Setup
from rlm_module.sandbox.codec import CodecError, decode, encode, encode_chunks
from rlm_module.sandbox.frames import Kind
from rlm_module.sandbox.host_calls import to_plain
from rlm_module.sandbox.link import Ended, Link
from rlm_module.sandbox.replay import Answers, Loaded, Lost, Ran, Step, assigned_names, lost_names
from rlm_module.sandbox.results import killed_result, read_result, split_clock
from rlm_module.sandbox.runtime import discard_damaged_snapshot, ensure_runtime, locate_runtime

_TICK_SECONDS = 0.05
_GRACE_SECONDS = 2.0
_MEMORY_SLACK = 512 << 20
_BASE_MEMORY = 48 << 20
_CELL_FIELDS = struct.Struct("<II")


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
        self._ids = count(1)
        self._link = Link(self._ids)
        self._closed = False
        self._steps: list[Step] = []
        self._cells = 0
        self._running: int | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the sandbox, None while there is none."""
        return self._link.pid

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
            submit(self._end()).result(timeout=10)

    # Everything below runs on the background loop.

    async def _start(self) -> None:
        runtime = locate_runtime()
        if not runtime.ready:
            runtime = await in_thread(ensure_runtime)
        try:
            await self._boot()
        except Ended as ended:
            if self._closed:
                raise SandboxError(f"The sandbox was lost: {ended}.") from None
            if not await in_thread(lambda: discard_damaged_snapshot(runtime)):
                raise SandboxError(f"The sandbox does not start ({ended}); run `rlm doctor`.") from None
            await in_thread(ensure_runtime)
            try:
                await self._boot()
            except Ended as again:
                raise SandboxError(f"The sandbox does not start ({again}); run `rlm doctor`.") from None

    async def _boot(self) -> None:
        if self._closed:
            raise Ended("the session was closed")
        self._link = Link(self._ids)
        await self._link.start(locate_runtime(), self._memory_mb)
        await self._send_setup()

    async def _end(self) -> None:
        await self._link.end("the session was closed")

    async def _register(self) -> None:
        try:
            await self._revive()
            await self._send_setup()
        except Ended as ended:
            raise SandboxError(f"The sandbox was lost: {ended}.") from None

    async def _send_setup(self) -> None:
        assert self._dispatch is not None
        self._link.calls.serve(self._dispatch, frozenset(function.name for function in self._setup.functions))
        functions = [[f.name, f.signature, f.doc, f.ahead, f.typed] for f in self._setup.functions]
        outputs = None if self._setup.outputs is None else list(self._setup.outputs)
        await self._link.ask(
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
        except Ended as ended:
            raise SandboxError(f"The sandbox was lost while {step.name!r} was loaded: {ended}.") from None
        self._steps.append(step)

    async def _send_value(self, step: Loaded) -> None:
        length, chunks = await in_thread(lambda: self._prepare(step))
        name = step.name.encode()
        prefix = struct.pack("<H", len(name)) + name
        answer = await self._link.ask_at_length(Kind.LOAD, len(prefix) + length, chain((prefix,), chunks))
        fault = decode(answer)
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
        if self._running is not None:
            self._link.interrupt(self._running)

    async def _lose(self, names: tuple[str, ...]) -> None:
        try:
            await self._revive()
            await self._link.ask(Kind.FORGET, encode(list(names)))
        except Ended as ended:
            raise SandboxError(f"The sandbox was lost: {ended}.") from None
        self._steps.append(Lost(self._cells, names))
        self._cells += 1

    async def _execute(self, code: str, clock: bytes) -> CellResult:
        began = time.perf_counter()
        record = Ran(self._cells, code, clock)
        self._cells += 1
        try:
            await self._revive()
        except Ended as ended:
            if self._closed:
                raise SandboxError(f"The sandbox was lost: {ended}.") from None
            # What is on record ends the process again: the next cell finds the inputs as they were, and no more.
            self._steps = [Lost(s.number, assigned_names(s.code)) if isinstance(s, Ran) else s for s in self._steps]
            fault = f"it ended again while its cells were run again ({ended}). This cell did not run"
            return killed_result(fault, lost_names(self._steps), time.perf_counter() - began)
        try:
            result = read_result(await self._run(record, None))
        except CodecError as error:
            await self._link.end("its result could not be read")
            return killed_result(
                f"the sandbox broke the protocol: {error}", lost_names(self._steps), time.perf_counter() - began
            )
        except Ended as ended:
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
            Ended: If the process had to be killed, or ended by itself.
        """
        fields = _CELL_FIELDS.pack(cell.number, len(cell.clock))
        body = fields + cell.clock + cell.code.encode("utf-8", "surrogatepass")
        self._link.calls.begin(cell, recorded)
        try:
            self._running, done = self._link.begin(Kind.CELL, body)
            await self._supervise(self._running, done)
            cell.clock, result = split_clock(done.result())
            return result
        finally:
            self._running = None
            self._link.calls.end()

    async def _supervise(self, frame_id: int, done: asyncio.Future[bytes]) -> None:
        link, pid = self._link, self._link.pid or 0
        loop = asyncio.get_running_loop()
        spent, next_interrupt = 0.0, self._cell_seconds
        while not done.done():
            before = loop.time()
            await asyncio.wait({done}, timeout=_TICK_SECONDS)
            if not link.calls.waiting:
                spent += loop.time() - before
            if memory.resident(pid) > (self._memory_mb << 20) + _MEMORY_SLACK:
                await link.end(f"it took more memory than its {self._memory_mb:,} MiB")
            elif spent > self._cell_seconds + _GRACE_SECONDS:
                await link.end(f"it ran over the limit of {self._cell_seconds:g} s and could not be interrupted")
            elif spent > next_interrupt:
                next_interrupt = spent + _GRACE_SECONDS / 4
                link.interrupt(frame_id)

    async def _revive(self) -> None:
        """Brings a killed sandbox back to its state before the cell that killed it."""
        if self._closed:
            raise SandboxError("The session was closed; create a new one.")
        if self._link.pid is not None:
            return
        if self._dispatch is None:
            raise SandboxError("The session was not started; call start first.")
        await self._start()
        for step in self._steps:
            match step:
                case Loaded():
                    await self._send_value(step)
                case Ran():
                    await self._run(step, Answers(step))
                case Lost():
                    await self._link.ask(Kind.FORGET, encode(list(step.names)))


def _need(name: str, value: object) -> int:
    try:
        return memory.need(value)
    except Exception as error:  # a value of the user's may do anything when it is looked at
        raise InputError(f"Input {name!r} cannot be read ({describe(error)}); pass plain values.") from error
