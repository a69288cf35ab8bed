"""The watch of the escape tests sees what it is there to see; else they would pass on any sandbox."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.sandbox.repl import Repl
from tests.sandbox.watch import SECRET, Watch, watching


def test_the_watch_sees_bytes_processes_signals_connections_and_files(tmp_path: Path) -> None:
    with watching(tmp_path) as watch, Repl() as repl:
        watch.check(repl.pid)
        repl.run(f"print({SECRET!r})")
        _sees(watch, repl.pid, "reached the host")
        watch.received.clear()
        _sees(watch, os.getpid(), "started a process")
        os.kill(os.getpid(), signal.SIGUSR1)
        _sees(watch, repl.pid, "sent a signal")
        watch.signals.clear()
        with socket.create_connection(("127.0.0.1", watch.port)) as connection:
            assert connection.recv(1) == b"", "the server has seen us"
        _sees(watch, repl.pid, "reached the server")
        watch.connections.clear()
        for path in (tmp_path / "new", watch.own[1] / "gen" / "new"):
            path.touch()
            _sees(watch, repl.pid, "files came")
            path.unlink()
        watch.check(repl.pid)


def _sees(watch: Watch, pid: int, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        watch.check(pid)
