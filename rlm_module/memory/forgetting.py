"""Forgetting what was said, and what tells of it outside of the store: recorded runs and cached replies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rlm_module.errors import InputError
from rlm_module.memory.cached_replies import Traces, digest, drop_cached, passages, purge_cached
from rlm_module.memory.found import Forgotten
from rlm_module.memory.owned_runs import OwnedRuns, replies_in
from rlm_module.memory.store import MemoryStore, UserMemory

_BATCH_CHARS = 4_000_000
_NOBODY = ""  # an observer for whom all sessions are pending


@dataclass(frozen=True, slots=True)
class Erased:
    """What forgetting removed.

    Args:
        forgotten: From the store.
        runs: Recorded runs.
        replies: Replies in dspy's cache on disk.
    """

    forgotten: Forgotten
    runs: int = 0
    replies: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be forgotten.

    Args:
        forget: Has the store forget it, with its bytes.
        texts: Reads what was said; raises `InputError` where it isn't there.
    """

    forget: Callable[[], Forgotten]
    texts: Callable[[], Iterable[str]]


def purge(store: MemoryStore, memory: UserMemory, runs: OwnedRuns, target: Target) -> Erased:
    """Removes something to its last byte: from dspy's cache, with all recorded runs of the user, and from the store.

    The store comes last, since it tells what to look for: whatever ends the process, the same call does the rest. So
    what isn't there counts as forgotten before.

    Args:
        store: Where it is.
        memory: Whose it is.
        runs: Those that are recorded of the user.
        target: What.

    Raises:
        InputError: If a run of the user is under way.
        StoreBusyError: If others kept a file for too long; the same call does the rest.
        FatalError: If a run can be neither read nor deleted.
    """
    sessions = set(session_ids(memory))  # those of the store alone: an id that was given may be anybody's, or a word
    folders = runs.find(sessions)
    replies = {digest(reply) for folder in folders for reply in replies_in(folder)}
    dropped = drop_cached(Traces(session_ids=sessions, replies=replies))
    for batch in _batches(target.texts):
        dropped += drop_cached(Traces(passages=batch))
    purge_cached()
    runs.delete(folders)
    try:
        forgotten = target.forget()
    except InputError:
        forgotten = Forgotten(0, 0, 0)
        store.purge()
    return Erased(forgotten, len(folders), dropped)


def known_by(kind: str, name: Any) -> str:
    """The id of what is to be forgotten.

    Raises:
        InputError: If it is none, such as that of a session that the caller's id does not lead to.
    """
    if not isinstance(name, str) or not name:
        raise InputError(f"{name!r} is no id of a {kind}; take one from a list of sessions, a search or `session_id`.")
    return name


def session_ids(memory: UserMemory) -> Iterator[str]:
    """Ids of all sessions of a user, those with nothing left in them included."""
    cursor = None
    while True:
        page = memory.pending(_NOBODY, limit=1_000, cursor=cursor)
        yield from (one.session_id for one in page.items)
        cursor = page.cursor
        if cursor is None:
            return


def texts_of(memory: UserMemory, ids: Iterable[str]) -> Iterator[str]:
    """What was said in sessions, as far as it is left."""
    for name in ids:
        try:
            session = memory.get_session(name)
        except InputError:
            continue
        yield from (turn.text for turn in session.turns)


def _batches(texts: Callable[[], Iterable[str]]) -> Iterator[set[str]]:
    """Passages of texts, no more at once than fit into memory."""
    batch: set[str] = set()
    chars = 0
    try:
        for text in texts():
            batch.update(passages(text))
            chars += len(text)
            if chars >= _BATCH_CHARS:
                yield batch
                batch, chars = set[str](), 0
    except InputError:  # it isn't there
        pass
    if batch:
        yield batch
