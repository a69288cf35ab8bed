"""Cursors: where in a list the last page ended, in a form that means nothing to who passes it back."""

from __future__ import annotations

import base64
import binascii
import struct

from rlm_module.errors import InputError

_MAX_LIMIT = 1_000
_PLACE = struct.Struct(">qq")


def cursor_of(at: int, number: int) -> str:
    """The cursor of an item.

    Args:
        at: What the list is ordered by.
        number: What orders equals.
    """
    return base64.urlsafe_b64encode(_PLACE.pack(at, number)).decode().rstrip("=")


def place_of(cursor: str | None) -> tuple[int, int] | None:
    """What `cursor_of` was given; None where there is no cursor.

    Raises:
        InputError: If it is no cursor.
    """
    if cursor is None:
        return None
    try:
        at, number = _PLACE.unpack(base64.urlsafe_b64decode(cursor + "=="))
        return at, number
    except (struct.error, binascii.Error, ValueError) as error:
        raise InputError(f"{cursor[:40]!r} is no cursor; pass that of the page before.") from error


def checked_limit(limit: int) -> int:
    """How many items are asked for.

    Raises:
        InputError: If that is out of range.
    """
    if not 1 <= limit <= _MAX_LIMIT:
        raise InputError(f"limit is {limit}; ask for 1 to {_MAX_LIMIT:,} at once, and pass the cursor for more.")
    return limit
