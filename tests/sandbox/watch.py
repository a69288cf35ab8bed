"""What the host sees of a sandbox that tries to get out: files, processes, connections, signals, and every byte."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rlm_module.sandbox.process import DenoProcess
from rlm_module.sandbox.runtime import ensure_runtime

SECRET = "the-planted-secret-8c1f"
PASSWD = Path("/etc/passwd").read_text().splitlines()[0] if Path("/etc/passwd").exists() else SECRET


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`, zombies included."""
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = status.read_text().rpartition(")")[2].split()[1]
        except (OSError, IndexError):  # it ended while we looked
            continue
        if int(parent) == pid:
            found.append(int(status.parent.name))
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Watch:
    """Sees what reaches the host; `check` fails on the first thing that should not have.

    Args:
        folder: An empty folder of the test's own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.canary = folder / "canary.json"
        self.canary.write_text(f'{{"secret": "{SECRET}"}}')
        runtime = ensure_runtime()
        self.own = (runtime.folder, runtime.deno_folder)
        self.connections: list[bytes] = []
        self.signals: list[int] = []
        self.received = bytearray()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        self._before = self._files()
        threading.Thread(target=self._accept, daemon=True).start()

    def check(self, pid: int) -> None:
        """Fails if anything that the sandbox of process `pid` (0: it is gone) tried has worked."""
        assert not self.connections, "the sandbox reached the server"
        assert not self.signals, "the sandbox sent a signal"
        assert pid == 0 or not children(pid), "the sandbox started a process"
        after = self._files()
        changed = sorted(str(path) for path, _ in after ^ self._before)
        assert not changed, f"files came, went or changed: {changed}"
        for secret in (SECRET, PASSWD, "Runs Pyodide and carries frames", '"name": "pyodide"'):
            assert secret.encode() not in self.received, f"{secret!r} reached the host"

    def _files(self) -> set[tuple[Path, bytes | int]]:
        found: set[tuple[Path, bytes | int]] = {(path, path.read_bytes()) for path in _files_in(self.folder)}
        for folder in self.own:
            found |= {(path, path.stat().st_size) for path in _files_in(folder) if not _is_of_readers(path)}
        return found

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.connections.append(b"connected")
            connection.close()


def _is_of_readers(path: Path) -> bool:
    """Whether it is a file that SQLite makes for whoever reads, and in which nothing is kept."""
    return path.name.endswith("-shm") or (path.name.endswith("-wal") and path.stat().st_size == 0)


def _files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())


@contextmanager
def watching(folder: Path) -> Generator[Watch]:
    """Watches all sandboxes of this process."""
    watch = Watch(folder)
    receive = DenoProcess.pipe_data_received

    def received(self: DenoProcess, fd: int, data: bytes) -> None:
        watch.received += data
        receive(self, fd, data)

    def signalled(number: int, _: FrameType | None) -> None:
        watch.signals.append(number)

    handler = signal.signal(signal.SIGUSR1, signalled)
    DenoProcess.pipe_data_received = received
    try:
        yield watch
    finally:
        DenoProcess.pipe_data_received = receive
        signal.signal(signal.SIGUSR1, handler)
        watch.server.close()
