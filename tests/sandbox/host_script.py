"""Runs host programs of their own, to see what they leave behind however they end."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.sandbox.watch import is_alive

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
PRELUDE = """
import os, sys, threading, time
from concurrent.futures import Future
from rlm_module.sandbox.base import HostFunction, Setup
from rlm_module.sandbox.deno import DenoSession

def say(word):
    os.write(1, f"{word}\\n".encode())

def started(dispatch=lambda call: Future(), **limits):
    session = DenoSession(**limits)
    session.start(Setup((HostFunction("ask"),)), dispatch).result()
    say(session.pid)
    return session
"""


class Host:
    """A Python process of its own that runs a script; it says words, one a line."""

    def __init__(self, script: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + script], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
        )
        self._unread = b""

    def hear(self) -> str:
        """The next word it says."""
        assert self.process.stdout is not None
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            assert ready, "the host says nothing"
            read = os.read(self.process.stdout.fileno(), 4096)
            assert read, "the host ended"
            self._unread += read
        word, _, self._unread = self._unread.partition(b"\n")
        return word.decode()

    def hear_pid(self) -> int:
        return int(self.hear())

    def wait(self) -> int:
        return self.process.wait(PATIENCE)


@contextmanager
def host(script: str) -> Generator[Host]:
    """A running host, which is killed at the end if it still runs."""
    running = Host(script)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def wait_until_gone(pid: int) -> None:
    """Fails if the process, which is no child of this one, does not end."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended, _, _ = select.select([handle], [], [], PATIENCE)
    finally:
        os.close(handle)
    assert ended, f"process {pid} lives on"
    assert not is_alive(pid)
