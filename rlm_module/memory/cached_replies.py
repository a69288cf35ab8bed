"""Replies of models in dspy's cache that tell of somebody's memory, down to the bytes.

The cache knows its entries by digests of the requests. Whose they are can only be told from the replies themselves.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, cast

import dspy

from rlm_module.memory.errors import StoreBusyError, StoreError
from rlm_module.memory.sqlite.connections import is_busy
from rlm_module.memory.sqlite.words import indexed

_PATIENCE = 30.0
_PASSAGE_WORDS = 4
_SHORTEST_PASSAGE = 8
_WORD = re.compile(r"[^\W_]+")
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|[bfnrt"/\\])')
_SESSION_ID = re.compile(r"(?<![A-Za-z0-9])[a-z2-7]{8,64}(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Traces:
    """By what a reply is known to tell of a memory.

    Args:
        session_ids: Ids of the user's sessions, one of which it names.
        replies: Digests of replies to one of which it is equal; see `digest`.
        passages: Four words in a row of what was said, or all of a shorter text; see `passages`.
    """

    session_ids: set[str] = field(default_factory=set[str])
    replies: set[bytes] = field(default_factory=set[bytes])
    passages: set[str] = field(default_factory=set[str])

    def are_in(self, value: Any) -> bool:
        """Whether one of them is in a cached value."""
        return any(self._in_text(text) for text in _texts(value))

    def _in_text(self, text: str) -> bool:
        if self.replies and digest(text) in self.replies:
            return True
        plain = _ESCAPE.sub(_unescaped, text)
        if self.session_ids and not self.session_ids.isdisjoint(_SESSION_ID.findall(plain)):
            return True
        return bool(self.passages) and any(passage in self.passages for passage in _runs_of_words(plain))


def digest(reply: str) -> bytes:
    """By which a reply is known again."""
    return hashlib.blake2b(reply.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def passages(text: str) -> Iterator[str]:
    """What of a text is taken for a trace of it: each four words in a row, or all of a shorter text that says much."""
    words = _words(text)
    if len(words) >= _PASSAGE_WORDS:
        yield from (" ".join(words[at : at + _PASSAGE_WORDS]) for at in range(len(words) - _PASSAGE_WORDS + 1))
    elif len(whole := " ".join(words)) >= _SHORTEST_PASSAGE or any(word.isdigit() for word in words):
        yield whole


def drop_cached(traces: Traces) -> int:
    """Drops the replies in dspy's cache that hold traces, and all that this process holds in memory.

    `purge_cached` has to follow.

    Returns:
        How many replies on disk those were.

    Raises:
        StoreError: If the cache's files cannot be used.
    """
    dropped = 0
    if dspy.cache.enable_disk_cache:
        disk: Any = dspy.cache.disk_cache
        with _named_faults(disk.directory):
            for key in list(disk):
                if _tells(disk, key, traces):
                    dropped += bool(disk.delete(key, retry=True))
    dspy.cache.reset_memory_cache()
    return dropped


def purge_cached() -> None:
    """Overwrites what was ever dropped from dspy's cache in its files.

    Raises:
        StoreBusyError: If others used it for so long that it could not be done.
        StoreError: If the cache's files cannot be used.
    """
    if not dspy.cache.enable_disk_cache:
        return
    disk: Any = dspy.cache.disk_cache
    for path in sorted(Path(disk.directory).glob("*/cache.db")):
        with _named_faults(path), closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            (was_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if was_busy:
            raise _busy(path)


def clear_cache() -> None:
    """Clears dspy's cache of replies whole, in this process and on disk, down to the bytes.

    Raises:
        StoreBusyError: If others used it for so long that it could not be done.
        StoreError: If the cache's files cannot be used.
    """
    if dspy.cache.enable_disk_cache:
        disk: Any = dspy.cache.disk_cache
        with _named_faults(disk.directory):
            disk.clear(retry=True)
    dspy.cache.reset_memory_cache()
    purge_cached()


@contextmanager
def _named_faults(path: object) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if is_busy(error):
            raise _busy(path) from error
        raise StoreError(f"{path} cannot be purged ({error}); mend that, or delete dspy's cache.") from error


def _busy(path: object) -> StoreBusyError:
    return StoreBusyError(f"{path} could not be purged, since others use it; try again when they are done.")


def _tells(disk: Any, key: Any, traces: Traces) -> bool:
    try:
        value = disk.get(key, retry=True)
    except Exception:  # of a value that cannot be read nobody knows what it tells
        return True
    return traces.are_in(value)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value of any kind."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from chain.from_iterable(map(_texts, cast("Mapping[Any, Any]", value).values()))
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from chain.from_iterable(map(_texts, cast("Iterable[Any]", value)))
    elif callable(dump := getattr(value, "model_dump", None)):
        yield from _texts(dump())
    elif value is not None and not isinstance(value, (bool, int, float)):
        yield str(value)


def _words(text: str) -> list[str]:
    return _WORD.findall(indexed(text.casefold()))


def _runs_of_words(text: str) -> Iterator[str]:
    words = _words(text)
    for count in range(1, _PASSAGE_WORDS + 1):
        yield from (" ".join(words[at : at + count]) for at in range(len(words) - count + 1))


def _unescaped(match: re.Match[str]) -> str:
    """What an escape of JSON stands for, as far as words go."""
    return chr(int(match[1], 16)) if match[1] else " "
