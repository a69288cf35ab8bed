"""One integer a turn that says whose it is, of which session, and at which place.

So a user's turns, and a session's, are a range of integers: tables need no index for them, and the index of words is
searched within the range, which keeps users apart as well.
"""

from __future__ import annotations

from rlm_module.errors import InputError
from rlm_module.memory.data import MAX_TURNS

_TURN_BITS = MAX_TURNS.bit_length() - 1
_SESSION_BITS = 24
_USER_BITS = 63 - _SESSION_BITS - _TURN_BITS

MAX_SESSIONS = 1 << _SESSION_BITS
"""How many sessions a user can have, those forgotten included."""

MAX_USERS = (1 << _USER_BITS) - 1
"""How many users a file can have, those forgotten included."""


def session_number(user_no: int, n: int) -> int:
    """The number of a user's n-th session, from 0."""
    return user_no << _SESSION_BITS | n


def turn_number(session_no: int, position: int) -> int:
    """The number of the turn at a position, from 0.

    Raises:
        InputError: If no session has such a position: the number would be that of another session's turn.
    """
    if not 0 <= position < MAX_TURNS:
        raise InputError(f"A session has no position {position}; it has room for {MAX_TURNS:,} turns.")
    return session_no << _TURN_BITS | position


def session_of(turn_no: int) -> int:
    """The number of a turn's session."""
    return turn_no >> _TURN_BITS


def position_of(turn_no: int) -> int:
    """A turn's place in its session."""
    return turn_no & (MAX_TURNS - 1)


def turns_of_session(session_no: int) -> tuple[int, int]:
    """The first and the last number that turns of a session can have."""
    return turn_number(session_no, 0), turn_number(session_no, MAX_TURNS - 1)


def turns_of_user(user_no: int) -> tuple[int, int]:
    """The first and the last number that turns of a user can have."""
    return turn_number(session_number(user_no, 0), 0), turn_number(session_number(user_no + 1, 0), 0) - 1


def user_of(turn_no: int) -> int:
    """The number of a turn's user."""
    return turn_no >> (_TURN_BITS + _SESSION_BITS)


TURN_SHIFT = _TURN_BITS
"""By how many bits a session's number is shifted in its turns' numbers, for SQL."""
