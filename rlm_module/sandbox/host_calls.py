"""The host's side of the calls that a cell makes: checked, answered from the record or by the run, and bounded."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from rlm_module.errors import SubcallError, describe
from rlm_module.sandbox.background import io_loop
from rlm_module.sandbox.base import Dispatch, HostCall
from rlm_module.sandbox.codec import CodecError, decode, encode
from rlm_module.sandbox.frames import Frame, Kind, ProtocolError
from rlm_module.sandbox.replay import ABANDONED, Answered, Answers, Ran, digest

_MAX_CALLS = 1024
_MAX_CALL_BYTES = 256 << 20


@dataclass(slots=True)
class _Pending:
    call: Answered
    size: int
    future: Future[Any]
    awaited: bool


class HostCalls:
    """Host calls of one session, one cell at a time; everything here runs on the background loop.

    Args:
        reply: Sends the encoded answer to the call with the given id.
    """

    def __init__(self, reply: Callable[[int, bytes], None]) -> None:
        self._reply = reply
        self._dispatch: Dispatch | None = None
        self._functions: frozenset[str] = frozenset()
        self._cell: Ran | None = None
        self._recorded: Answers | None = None
        self._pending: dict[int, _Pending] = {}
        self._ids: range | None = None  # from the lowest to the highest of the cell's calls
        self._droppable = 0
        self.refusing = False

    def serve(self, dispatch: Dispatch, functions: frozenset[str]) -> None:
        """Says who answers, and which functions there are."""
        self._dispatch, self._functions = dispatch, functions

    @property
    def waiting(self) -> bool:
        """Whether the cell waits for calls that are not answered yet; for those started early it may not yet."""
        return any(pending.awaited for pending in self._pending.values())

    def begin(self, cell: Ran, recorded: Answers | None) -> None:
        """Takes calls for a cell; those that are on record get their recorded answers."""
        self._cell, self._recorded, self.refusing = cell, recorded, False
        self._ids, self._droppable = None, 0

    def end(self) -> None:
        """Takes no more calls, and cancels those that are not answered."""
        self._cell = None
        abandoned, self._pending = self._pending, {}
        for pending in abandoned.values():
            pending.future.cancel()

    def take(self, frame: Frame) -> None:
        """Answers one call, now or later.

        Raises:
            ProtocolError: If it is no call that a sandbox may make.
        """
        if self._cell is None:
            raise ProtocolError("a host call outside a cell")
        if frame.id in self._pending:
            raise ProtocolError(f"two host calls with the id {frame.id}")
        if len(self._pending) >= _MAX_CALLS or sum(p.size for p in self._pending.values()) > _MAX_CALL_BYTES:
            raise ProtocolError(f"more than {_MAX_CALLS:,} host calls (or {_MAX_CALL_BYTES >> 20} MiB) at once")
        ids = self._ids or range(frame.id, frame.id)
        self._ids = range(min(ids.start, frame.id), max(ids.stop, frame.id + 1))
        self._droppable += 1
        if self.refusing:
            self._reply(frame.id, encode(["error", "TimeoutError: the cell ran over its time limit"]))
            return
        known = None if self._recorded is None else self._recorded.take(frame.body)
        call = Answered(digest(frame.body), known)
        if known is not None:
            self._reply(frame.id, known)
            return
        self._cell.calls.append(call)
        self._ask(frame, call, self._cell.number)

    def drop(self, call_id: int) -> None:
        """Cancels a call that was started early and is not going to be asked for; its record has no answer then.

        Raises:
            ProtocolError: If it is no call of this cell, or if more calls are dropped than were made.
        """
        # The ids that were answered are not kept, for a cell may make millions of calls: a range and a count bound
        # what a sandbox can send, and dropping what was answered does nothing.
        self._check_made(call_id)
        if self._droppable == 0:
            raise ProtocolError("more host calls are dropped than were made")
        self._droppable -= 1
        dropped = self._pending.pop(call_id, None)
        if dropped is not None:
            dropped.future.cancel()

    def wait_for(self, call_id: int) -> None:
        """The program asks for a call that was started early, and waits.

        Raises:
            ProtocolError: If it is no call of this cell.
        """
        self._check_made(call_id)
        if call_id in self._pending:
            self._pending[call_id].awaited = True

    def _check_made(self, call_id: int) -> None:
        if self._cell is None or self._ids is None or call_id not in self._ids:
            raise ProtocolError(f"there is no host call {call_id} in this cell")

    def _ask(self, frame: Frame, call: Answered, cell: int) -> None:
        assert self._dispatch is not None
        future = self._dispatch(self._read(frame.body, cell))
        pending = self._pending[frame.id] = _Pending(call, len(frame.body), future, frame.kind is Kind.CALL)

        def answered(settled: Future[Any]) -> None:  # on the thread that answered, where encoding delays nobody
            answer = _encode_answer(settled)
            io_loop().call_soon_threadsafe(self._settle, frame.id, pending, answer)

        future.add_done_callback(answered)

    def _read(self, body: bytes, cell: int) -> HostCall:
        try:
            request = decode(body)
        except CodecError as error:
            raise ProtocolError(f"a host call of broken bytes: {error}") from None
        match request:
            case [str() as name, list() as args, dict() as kwargs] if name in self._functions:
                return HostCall(name, tuple(args), kwargs, cell)
            case _:
                raise ProtocolError("a host call that names no function of the host")

    def _settle(self, frame_id: int, pending: _Pending, answer: bytes) -> None:
        if self._pending.get(frame_id) is not pending:
            return  # abandoned: its cell is over
        del self._pending[frame_id]
        pending.call.answer = answer
        self._reply(frame_id, answer)


def to_plain(value: Any) -> Any:
    """The last resort of the codec on the host: whatever pydantic can make JSON of.

    Raises:
        CodecError: If it cannot.
    """
    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, ValueError, TypeError, RecursionError):
        raise CodecError(
            f"a value of type {type(value).__name__} cannot enter the sandbox; pass plain Python values, "
            "pydantic models or dataclasses, or subclass dspy.SandboxSerializable"
        ) from None


def _encode_answer(settled: Future[Any]) -> bytes:
    if settled.cancelled():
        return ABANDONED
    error = settled.exception()
    if isinstance(error, SubcallError):
        return encode(["error", error])
    if error is not None:
        return encode(["error", describe(error)])
    try:
        return encode(["value", settled.result()], to_plain)
    except Exception:  # a value of the user's may do anything when it is looked at
        return _encode_text_of(settled.result())


def _encode_text_of(value: Any) -> bytes:
    try:
        return encode(["value", str(value)])
    except Exception as error:
        return encode(["error", f"the {type(value).__name__} it returned cannot be sent ({describe(error)})"])
