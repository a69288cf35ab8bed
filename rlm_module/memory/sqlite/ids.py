"""Opaque ids: made of what the caller says, and telling nothing of it."""

from __future__ import annotations

import base64
import hashlib
import re

_CHARS = 8
_TURN = re.compile(r"([a-z2-7]{1,64})\.(\d{1,7})", re.ASCII)


def opaque(*parts: str, attempt: int = 0) -> str:
    """A short id; the same parts give the same one.

    Args:
        parts: What it stands for.
        attempt: How many ids of these parts were taken by something else.
    """
    text = "\0".join((*(part.replace("\0", "\0\0") for part in parts), str(attempt)))
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).digest()
    return base64.b32encode(digest).decode().lower()[: _CHARS + 2 * attempt]


def turn_id(session_id: str, position: int) -> str:
    """The id of the turn at a position, from 0."""
    return f"{session_id}.{position}"


def split_turn_id(text: str) -> tuple[str, int] | None:
    """The session's id and the position; None where the text is no turn's id."""
    match = _TURN.fullmatch(text)
    return (match[1], int(match[2])) if match else None
