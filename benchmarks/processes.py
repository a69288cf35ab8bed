"""Processes seen from outside, through Linux's /proc: their memory, and what they have started."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

_PROC = Path("/proc")


def resident(pid: int | str = "self") -> int:
    """Resident memory in bytes."""
    return _status(pid, "VmRSS")


def peak_resident(pid: int | str = "self") -> int:
    """The most resident memory that the process ever had, in bytes."""
    return _status(pid, "VmHWM")


def descendants(pid: int) -> set[int]:
    """All that a process has started, and what those have."""
    parents = {child: parent for child, parent in map(_parent, _numbered()) if parent is not None}
    found: set[int] = set()
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level} - found
        found |= level
    return found


def alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and waits to be reaped does not."""
    return _state(pid) not in (None, "Z", "X")


def kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _numbered() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]


def _status(pid: int | str, field: str) -> int:
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no {field}")


def _stat(pid: int) -> list[str]:
    """What follows the name in `stat`; the name may hold anything, so it is cut at its last bracket."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str | None:
    found = _stat(pid)
    return found[0] if found else None


def _parent(pid: int) -> tuple[int, int | None]:
    found = _stat(pid)
    return pid, int(found[1]) if found else None
