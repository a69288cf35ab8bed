"""One run's folder on disk, as it is written: `events.jsonl`, a line an event, and `inputs/`, each value once by hash.

The folder is the user's alone (modes 0700 and 0600). Whatever the disk does, the run goes on: the first fault is told
in the log in one sentence, and nothing more is written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import threading
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from rlm_module.errors import InputError
from rlm_module.events import Acted, AnyEvent, CallFinished, LMCalled
from rlm_module.journal.lines import to_line
from rlm_module.journal.sync import GroupSync
from rlm_module.prompting.shown import environment_secrets
from rlm_module.sandbox.codec import CodecError, encode_chunks
from rlm_module.sandbox.host_calls import to_plain

_fcntl: ModuleType | None
try:
    import fcntl as _fcntl
except ImportError:  # Windows
    _fcntl = None

logger = logging.getLogger(__name__)

EVENTS, INPUTS, TORN = "events.jsonl", "inputs", "events.torn"

_PAID = (LMCalled, CallFinished, Acted)
_SHORTEST_SECRET = 8
_BINARY = getattr(os, "O_BINARY", 0)
_MENDS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "raise the limit on the size of files",
    errno.EROFS: "name another folder",
    errno.EACCES: "make it writable or name another folder",
    errno.EPERM: "make it writable or name another folder",
    errno.ENOTDIR: "name a folder",
    errno.EEXIST: "name a folder",
}


class RunFolder:
    """The store of a run: `create` one for a new run, `reopen` that of a run that is resumed.

    Args:
        path: The run's folder.
        secrets: Credentials, besides the environment's, that must not be written.
        quiet: Whether faults stand in `fault` only, and not also in the log.
    """

    def __init__(self, path: Path, secrets: Iterable[str] = (), *, quiet: bool = False) -> None:
        self.path = path
        self._quiet = quiet
        self.fault: str | None = None
        known = {*environment_secrets(), *(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)}
        self._secrets = tuple(sorted(known, key=len, reverse=True))
        self._lock = threading.RLock()
        self._fd: int | None = None
        self._size = 0
        self._sync: GroupSync | None = None

    @classmethod
    def create(cls, journal: str | os.PathLike[str], run_id: str, *, secrets: Iterable[str] = ()) -> RunFolder:
        """Makes the folder of a new run in the journal's folder; where that fails, one that writes nothing.

        Raises:
            InputError: If there is a run of that id already.
        """
        folder = cls(Path(journal) / run_id, secrets)
        try:
            os.makedirs(journal, exist_ok=True)
            try:
                os.mkdir(folder.path, 0o700)
            except FileExistsError:
                raise InputError(f"{folder.path} holds a run already; resume it or take another run id.") from None
            os.mkdir(folder.path / INPUTS, 0o700)
            folder._open(os.O_CREAT | os.O_EXCL)
        except OSError as error:
            folder._fail(error)
        return folder

    @classmethod
    def reopen(cls, path: str | os.PathLike[str], *, secrets: Iterable[str] = (), quiet: bool = False) -> RunFolder:
        """Opens a run's folder to append to it. Read the run after this, when nobody else can write to it any more.

        A last line that was cut off is moved to `events.torn`; a whole one gets the newline that it lacks.

        Raises:
            InputError: If there is no such run, or another process is writing to it.
        """
        folder = cls(Path(path), secrets, quiet=quiet)
        if not os.path.isfile(folder.path / EVENTS):
            raise InputError(f"{folder.path} holds no run; name the folder of one, which `rlm runs` lists.")
        try:
            folder._open(0)
            folder._mend_tail()
            os.makedirs(folder.path / INPUTS, mode=0o700, exist_ok=True)
            for leftover in (folder.path / INPUTS).glob("*.tmp"):
                leftover.unlink()
        except OSError as error:
            folder._fail(error)
        return folder

    def write(self, event: AnyEvent) -> None:
        """Appends an event; one that was paid for is synced soon."""
        with self._lock:
            if self._fd is None or self.fault is not None:
                return
            try:
                self._append(to_line(event, self._secrets))
            except OSError as error:
                self._fail(error)
                return
            if self._sync is not None and isinstance(event, _PAID):
                self._sync.soon()

    def store_input(self, value: Any) -> str | None:
        """Keeps a value under its hash, which `load_input` takes.

        Args:
            value: Anything that can enter the sandbox.

        Returns:
            The hash; None if it could not be kept, because of the disk or of the value's type.
        """
        if self._fd is None or self.fault is not None:
            return None
        temporary = self.path / INPUTS / f"{uuid.uuid4().hex}.tmp"
        try:
            digest, fd = _write_hashed(temporary, value)  # without the lock, as events must not wait for it
            if self._hand_over(fd):
                # A file of that name may be damaged; what was just written is not.
                os.replace(temporary, self.path / INPUTS / digest)
                return digest
        except OSError as error:
            self._fail(error)
        except Exception as error:  # a value of the user's may do anything when it is looked at
            known = isinstance(error, CodecError)
            logger.info("An input of type %s cannot be stored.", type(value).__name__, exc_info=not known)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return None

    def close(self) -> None:
        """Syncs what was written and lets go of the run. What is written from now on is lost to the disk."""
        with self._lock:
            fd, self._fd = self._fd, None
            sync, self._sync = self._sync, None
        if sync is not None:
            sync.close()
        if fd is not None:
            os.close(fd)

    def _hand_over(self, fd: int) -> bool:
        """Leaves an input's file to be synced and closed; False if the folder has been closed meanwhile."""
        with self._lock:
            if self._sync is None:
                os.close(fd)
                return False
            self._sync.add(fd)
            return True

    def _open(self, flags: int) -> None:
        fd = os.open(self.path / EVENTS, os.O_RDWR | os.O_APPEND | _BINARY | flags, 0o600)
        try:
            _lock_file(fd, self.path)
            self._size = os.fstat(fd).st_size
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        self._sync = GroupSync(fd, self._fail)
        for folder in (self.path, self.path.parent):
            _sync_folder(folder)

    def _append(self, line: bytes) -> None:
        """Writes a line whole, or takes back what of it was written."""
        assert self._fd is not None
        try:
            _write_all(self._fd, line)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(line)

    def _mend_tail(self) -> None:
        assert self._fd is not None
        tail = _tail(self.path / EVENTS)
        if not tail:
            return
        try:
            json.loads(tail)
        except (ValueError, RecursionError):
            self._put_aside(tail)
        else:
            self._append(b"\n")

    def _put_aside(self, tail: bytes) -> None:
        assert self._fd is not None
        aside = os.open(self.path / TORN, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _BINARY, 0o600)
        try:
            _write_all(aside, tail + b"\n")
            os.fsync(aside)
        finally:
            os.close(aside)
        self._size -= len(tail)
        os.ftruncate(self._fd, self._size)
        logger.warning(
            "The last line of %s was cut off when its writer was killed; it is in %s now, and the run goes on without.",
            self.path / EVENTS,
            TORN,
        )

    def _fail(self, error: OSError) -> None:
        with self._lock:
            if self.fault is not None:
                return
            reason = error.strerror or str(error)
            mend = _MENDS.get(error.errno or 0, "check its disk")
            self.fault = f"The journal {self.path} cannot be written ({reason}); {mend}."
        logger.log(
            logging.DEBUG if self._quiet else logging.WARNING,
            "The journal %s cannot be written (%s), so the rest of this run is kept in memory only; %s.",
            self.path,
            reason,
            mend,
        )


def _write_all(fd: int, data: bytes) -> None:
    """Writes it all; the system may take less at once than it was given."""
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written <= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        view = view[written:]


def _write_hashed(path: Path, value: Any) -> tuple[str, int]:
    """Writes a value to a new file; returns its hash and the file, still open."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
    try:
        digest = hashlib.sha256()
        for chunk in encode_chunks(value, to_plain)[1]:
            digest.update(chunk)
            _write_all(fd, chunk)
    except BaseException:
        os.close(fd)
        raise
    return digest.hexdigest(), fd


def _tail(path: Path) -> bytes:
    """What follows the last newline of a file."""
    tail = b""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65_536)
            file.seek(start)
            piece = file.read(end - start)
            newline = piece.rfind(b"\n")
            if newline >= 0:
                return piece[newline + 1 :] + tail
            tail, end = piece + tail, start
    return tail


def _lock_file(fd: int, path: Path) -> None:
    if _fcntl is None:
        return
    try:
        _fcntl.flock(fd, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{path} is being written by another process; wait until that run has ended, or stop it."
        ) from None
    except OSError:
        pass  # a file system without locks


def _sync_folder(path: Path) -> None:
    """So that a new file's name is as safe as what it holds; not every system can."""
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
