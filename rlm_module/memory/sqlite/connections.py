"""Connections to a store's file: one that writes, and as many that read as are needed at once."""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from rlm_module.errors import InputError
from rlm_module.memory.errors import StoreBusyError, StoreError
from rlm_module.memory.sqlite.ranking import Ranker
from rlm_module.memory.sqlite.schema import migrate, version
from rlm_module.memory.sqlite.words import register

_CACHE_KIB = 8_192
_WAL_PAGES = 4_000  # a checkpoint each 16 MB, so that pages which many batches touch are copied once
_RETRY_SECONDS = 0.02
_IDLE_READERS = 16
_NEEDED = (3, 35)


class Connections:
    """What a process has open of one file.

    Args:
        path: The file, which is made where there is none.
        patience: How many seconds to wait for other writers.

    Raises:
        StoreError: If the file is no store or of a later version, or cannot be opened.
        StoreBusyError: If it had to be brought up to date and others kept it.
    """

    def __init__(self, path: Path, patience: float) -> None:
        if sqlite3.sqlite_version_info < _NEEDED:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old for a memory; use 3.35 or later.")
        self._path = path
        self._patience = patience
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue(_IDLE_READERS)
        self._rankers: queue.LifoQueue[Ranker] = queue.LifoQueue(_IDLE_READERS)
        self._turn = threading.Lock()
        self._closed = False
        with self._named_faults():
            self._writer = self._connect()
            try:
                self._prepare(self._writer)
            except BaseException:
                self._writer.close()
                raise

    def close(self) -> None:
        """Closes what is idle; a connection in use is closed when it is given back."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
            for idle in (self._idle, self._rankers):
                while not idle.empty():
                    idle.get_nowait().close()
            self._writer.close()

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection, None, None]:
        """A connection that sees the file as it is now until it is given back, whatever is written meanwhile."""
        with self._named_faults():
            connection = self._reader()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._give_back(connection)

    @contextmanager
    def ranker(self) -> Generator[Ranker, None, None]:
        """Something to rank texts with, which nobody else uses meanwhile."""
        try:
            ranker = self._rankers.get_nowait()
        except queue.Empty:
            ranker = Ranker()
        try:
            yield ranker
        finally:
            try:
                self._rankers.put_nowait(ranker)
            except queue.Full:
                ranker.close()

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection, None, None]:
        """The one connection that writes, in a transaction that is kept where no error leaves it."""
        with self.exclusively() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def exclusively(self) -> Generator[sqlite3.Connection, None, None]:
        """The connection that writes, outside of a transaction."""
        if not self._turn.acquire(timeout=self._patience):
            raise self._busy()
        try:
            self._refuse_if_closed()
            with self._named_faults():
                yield self._writer
        finally:
            self._turn.release()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._patience, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        register(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version(connection, str(self._path))
        # Changing the mode does not wait for others that do the same.
        self._patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = OFF")  # a purge rewrites the file
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        migrate(connection, str(self._path))

    def _patiently(self, action: Callable[[], object]) -> None:
        until = time.monotonic() + self._patience
        while True:
            try:
                action()
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > until:
                    raise
                time.sleep(_RETRY_SECONDS)

    def _reader(self) -> sqlite3.Connection:
        self._refuse_if_closed()
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()
        if self._closed:
            while not self._idle.empty():
                self._idle.get_nowait().close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreError(f"The store {self._path} is closed; open it again.")

    @contextmanager
    def _named_faults(self) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if is_busy(error):
                raise self._busy() from error
            raise StoreError(f"{self._path} cannot be used ({error}); mend that, or name another file.") from error
        except UnicodeEncodeError as error:
            raise InputError("An argument holds half of a character, a lone surrogate; leave it out.") from error
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self._path} is no store, or is damaged ({error}); restore it from a copy.") from error

    def _busy(self) -> StoreBusyError:
        return StoreBusyError(
            f"{self._path} was in use by others for more than {self._patience:g} s; try again when they are done."
        )


def is_busy(error: sqlite3.Error) -> bool:
    """Whether others use a file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
