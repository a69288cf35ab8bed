"""A memory store in one file of SQLite.

- `schema`: the tables. `numbers`: a turn's number holds its user, session and place, so that each of these is a range.
- `connections`: one that writes, many that read, and what SQLite's errors are called here. `users`: look-ups.
- `writing`, `forgetting`, `observing`, `exporting`: what transactions do; `reading`, `searching`: what is asked.
- `words`, `ranking`: the index only knows which turn has which word. A search takes candidates from it by the rarest
  words, and ranks their texts in a small index in memory with the same stems.
- `user`: `UserMemory` over all of these.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType

from rlm_module.errors import InputError
from rlm_module.memory.sqlite.connections import Connections
from rlm_module.memory.sqlite.forgetting import purge
from rlm_module.memory.sqlite.user import SqliteUser

_MAX_NAME_CHARS = 512


class SqliteStore:
    """A `MemoryStore` in one file, with `-wal` and `-shm` beside it while it is open.

    One process writes at a time; others wait for it. A process that is killed loses the transaction it was in and no
    other. The file belongs on a local disk.

    Args:
        path: The file, which is made where there is none.
        patience: How many seconds to wait for others before `StoreBusyError`.

    Raises:
        StoreError: If the file is no store, or of a later version, or cannot be opened.
    """

    def __init__(self, path: str | PathLike[str], *, patience: float = 30.0) -> None:
        self._path = Path(path)
        self._connections = Connections(self._path, patience)

    def user(self, name: str, *, as_of: dt.datetime | None = None) -> SqliteUser:
        if not 0 < len(name) <= _MAX_NAME_CHARS:
            raise InputError(f"A user's name has 1 to {_MAX_NAME_CHARS} characters, not {len(name)}.")
        return SqliteUser(self._connections, str(self._path), name, as_of)

    def users(self) -> Iterator[str]:
        with self._connections.reading() as connection:
            for (name,) in connection.execute("SELECT name FROM users ORDER BY name"):
                yield name

    def purge(self) -> None:
        with self._connections.exclusively() as connection:
            purge(connection, str(self._path))

    def close(self) -> None:
        self._connections.close()

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
