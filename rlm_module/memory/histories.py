"""Sessions of a memory as the input of a task, and a task's chat history as sessions of a memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from rlm_module import signatures
from rlm_module.memory.data import Session
from rlm_module.memory.importing.collecting import Collection, Read, Said


def as_history(sessions: Iterable[Session]) -> signatures.ChatHistory:
    """What a signature with a `ChatHistory` takes, with the ids that the sessions have."""
    return signatures.ChatHistory(
        [
            signatures.Session(
                session.id,
                tuple(signatures.Turn(turn.role, turn.text, turn.ts) for turn in session.turns),
                session.started_at,
            )
            for session in sessions
        ]
    )


def read_history(history: signatures.ChatHistory, *, zone: dt.tzinfo = dt.UTC) -> Read:
    """What a store can ingest, from a chat history.

    Args:
        history: The history.
        zone: Where times that name no zone are read.

    Raises:
        InputError: If a session has no time, or a turn a role that a memory does not know.
    """
    collection = Collection("the history", zone)
    for session in history.sessions:
        said = [Said(turn.role, turn.text, turn.timestamp) for turn in session.turns]
        collection.add(session.id, session.timestamp, said)
    return collection.read()
