"""The wire between host and sandbox: frames of kind (u8), id (u32), length (u64), little-endian, and a body.

Everything that comes in is hostile. `FrameReader` holds at most one unfinished body of bounded length and refuses the
rest; what bodies mean is checked where they are used.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from rlm_module.sandbox.codec import MAX_FRAME

_HEADER = struct.Struct("<BIQ")


class Kind(IntEnum):
    """What a frame is for; below 16 from the host, above from the sandbox."""

    SETUP = 1
    LOAD = 2
    CELL = 3
    ANSWER = 4
    INTERRUPT = 5
    FORGET = 6
    READY = 16
    DONE = 17
    CALL = 18
    DROP = 19
    START = 20
    AWAIT = 21


_FROM_SANDBOX = {int(kind): kind for kind in Kind if kind >= Kind.READY}


class ProtocolError(Exception):
    """The sandbox sent bytes that are no frame it may send."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message; `id` ties an answer to its question."""

    kind: Kind
    id: int
    body: bytes


def header(kind: Kind, frame_id: int, length: int) -> bytes:
    """The bytes before a frame's body of `length` bytes."""
    return _HEADER.pack(kind, frame_id, length)


class FrameReader:
    """Makes frames of the bytes that a sandbox writes, however they are cut.

    Args:
        max_body: Longest body accepted, in bytes.
    """

    def __init__(self, max_body: int = MAX_FRAME + 1024) -> None:
        self._max_body = max_body
        self._buffer = bytearray()
        self._need = _HEADER.size

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes.

        Raises:
            ProtocolError: For an unknown kind or a length over the limit; the reader is of no use after that.
        """
        self._buffer += data
        frames: list[Frame] = []
        while len(self._buffer) >= self._need:
            kind, frame_id, length = self._header()
            end = _HEADER.size + length
            if len(self._buffer) < end:
                self._need = end
                break
            frames.append(Frame(kind, frame_id, bytes(memoryview(self._buffer)[_HEADER.size : end])))
            del self._buffer[:end]
            self._need = _HEADER.size
        return frames

    def _header(self) -> tuple[Kind, int, int]:
        kind, frame_id, length = _HEADER.unpack_from(self._buffer)
        if kind not in _FROM_SANDBOX:
            raise ProtocolError(f"frame of unknown kind {kind}")
        if length > self._max_body:
            raise ProtocolError(f"frame of {length:,} bytes, more than {self._max_body:,}")
        return _FROM_SANDBOX[kind], frame_id, length
