"""Brings what was written to the disk itself, many writes at once, on a thread of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

GROUP_SECONDS = 0.02
"""How long a sync waits for others to join it; with the sync itself it is to end within 50 ms."""


class GroupSync:
    """Syncs one open file, and others once.

    Args:
        fd: The file, which stays the caller's.
        failed: Told, on the thread that syncs, what went wrong; nothing is synced soon after that.
    """

    def __init__(self, fd: int, failed: Callable[[OSError], None]) -> None:
        self._fd = fd
        self._failed = failed
        self._changed = threading.Condition()
        self._is_due = self._is_closing = self._has_failed = False
        self._others: list[int] = []
        self._thread: threading.Thread | None = None

    def soon(self) -> None:
        """Has the file synced within a group's time."""
        with self._changed:
            if self._is_closing or self._has_failed:
                return
            self._is_due = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rlm-journal-sync", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def add(self, fd: int) -> None:
        """Has another file synced with the next group and then closed."""
        with self._changed:
            self._others.append(fd)

    def close(self) -> None:
        """Syncs what is left, on this thread; returns when it is safe."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        self._sync()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_due or self._is_closing)
                self._changed.wait_for(lambda: self._is_closing, GROUP_SECONDS)
                if self._is_closing:
                    return
                self._is_due = False
            self._sync()

    def _sync(self) -> None:
        with self._changed:
            others, self._others = self._others, []
        try:
            for fd in [*others, self._fd]:
                os.fsync(fd)
        except OSError as error:
            with self._changed:
                self._has_failed = True
            self._failed(error)
        finally:
            for fd in others:
                os.close(fd)
