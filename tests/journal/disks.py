"""Stand-ins for what a disk does, which tests can count and break."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest


class Disk:
    """Stands between one file and the system's `write` and `fsync`; every other file is left alone.

    Args:
        path: The file, which may not be there yet.
        room: How many bytes fit.
        at_once: How many bytes the system takes in one write.
        sync_error: What syncing the file fails with.
        hold: Whether syncing the file waits until `release` is set.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        path: Path,
        *,
        room: int | None = None,
        at_once: int | None = None,
        sync_error: int | None = None,
        hold: bool = False,
    ) -> None:
        self.writes: list[int] = []
        self.syncs = 0
        self.syncing, self.release = threading.Event(), threading.Event()
        self._path, self._room, self._at_once, self._sync_error = path, room, at_once, sync_error
        if not hold:
            self.release.set()
        self._write: Callable[[int, memoryview], int] = os.write
        self._fsync: Callable[[int], None] = os.fsync
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(os, "fsync", self.fsync)

    def write(self, fd: int, data: memoryview) -> int:
        if not self._is_mine(fd):
            return self._write(fd, data)
        length = len(data) if self._at_once is None else min(len(data), self._at_once)
        if self._room is not None:
            length = min(length, self._room - sum(self.writes))
        if not length:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.writes.append(length)
        return self._write(fd, data[:length])

    def fsync(self, fd: int) -> None:
        if not self._is_mine(fd):
            return
        self.syncs += 1
        self.syncing.set()
        assert self.release.wait(60)
        if self._sync_error is not None:
            raise OSError(self._sync_error, os.strerror(self._sync_error))

    def _is_mine(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except OSError:
            return False
