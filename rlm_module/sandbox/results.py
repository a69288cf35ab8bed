"""Results of cells: out of the sandbox's bytes, which may say anything, and for cells that never returned one."""

from __future__ import annotations

import struct

from rlm_module.sandbox.base import CellError, CellResult
from rlm_module.sandbox.codec import CodecError, decode

_CLOCK_LENGTH = struct.Struct("<I")
_MAX_CLOCK = 128 << 10
_MOST_UNUSED = 1 << 32  # ids of calls are 32 bits long


def split_clock(body: bytes) -> tuple[bytes, bytes]:
    """What a cell read of the clocks, and its result.

    Raises:
        CodecError: If the bytes are none of a cell.
    """
    if len(body) < _CLOCK_LENGTH.size:
        raise CodecError("a cell's answer of no length")
    end = _CLOCK_LENGTH.size + _CLOCK_LENGTH.unpack_from(body)[0]
    if end > len(body) or end > _MAX_CLOCK:
        raise CodecError("a cell's answer with too long a clock")
    return body[_CLOCK_LENGTH.size : end], body[end:]


def read_result(body: bytes) -> CellResult:
    """A cell's result.

    Raises:
        CodecError: If the bytes are none.
    """
    found = decode(body)
    try:
        error = found["error"]
        texts = [found["stdout"], found["stderr"], found["value"] or ""]
        if error is not None:
            texts += [error[key] for key in ("type", "message", "traceback")]
        fits = all(type(text) is str for text in texts) and isinstance(found["final"], (dict, type(None)))
        if not fits or (error is not None and error["kind"] not in ("exception", "syntax", "interrupted")):
            raise CodecError("a field of the result has a wrong type")
        unused = found["unused"]
        if type(unused) is not int or not 0 <= unused < _MOST_UNUSED:
            raise CodecError("a count of unused calls that is none")
        failure = error and CellError(error["kind"], error["type"], error["message"], error["traceback"])
        return CellResult(found["stdout"], found["stderr"], found["value"], failure, found["final"], unused=unused)
    except (KeyError, TypeError) as fault:
        raise CodecError(f"the result lacks a field ({fault})") from None


def killed_result(reason: str, lost: tuple[str, ...], seconds: float) -> CellResult:
    """The result of a cell whose sandbox had to be killed.

    Args:
        reason: Why.
        lost: Names that will be missing after the rebuild.
        seconds: How long the cell ran.
    """
    gone = f", but for {', '.join(lost)}, which are gone with the cells that assigned them" if lost else ""
    message = f"the sandbox had to be restarted: {reason}. Its variables are back as they were before this cell{gone}."
    kind = "MemoryError" if "memory" in reason else "TimeoutError" if "limit" in reason else "RuntimeError"
    return CellResult(error=CellError("killed", kind, message, f"{kind}: {message}"), seconds=seconds)
