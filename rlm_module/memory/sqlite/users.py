"""Users and sessions by name: the look-ups that everything else begins with."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TypeAlias

from rlm_module.errors import InputError
from rlm_module.memory.data import MAX_TURNS, Role
from rlm_module.memory.sqlite.ids import split_turn_id
from rlm_module.memory.sqlite.numbers import MAX_USERS, TURN_SHIFT

ROLES: tuple[Role, ...] = ("user", "assistant", "system", "tool")
"""By their numbers in the file: later versions only append."""

TurnRow: TypeAlias = "tuple[int, int, int, int, str]"
"""A turn as its table has it: number, role's number, microseconds, minutes of offset, text."""

EVER = 1 << 62
"""A time after all others."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as its table has it, times in microseconds."""

    session_no: int
    public_id: str
    caller_id: str
    started_at: int
    started_offset: int
    length: int
    turns: int
    last_at: int


_COLUMNS = "session_no, public_id, caller_id, started_at, started_offset, length, turns, last_at"


def user_number(connection: sqlite3.Connection, name: str) -> int | None:
    """A user's number; None for one who has nothing."""
    row = connection.execute("SELECT user_no FROM users WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def make_user(connection: sqlite3.Connection, name: str) -> int:
    """The number of a user, who is written down if new.

    Raises:
        InputError: If the file has had as many as it can.
    """
    known = user_number(connection, name)
    if known is not None:
        return known
    made = connection.execute("INSERT INTO users (name) VALUES (?)", (name,)).lastrowid or 0
    if made > MAX_USERS:
        raise InputError(f"A store has room for {MAX_USERS:,} users; put further ones into another file.")
    return made


def session_by_caller_id(connection: sqlite3.Connection, user_no: int, caller_id: str) -> SessionRow | None:
    """A session by the caller's id."""
    query = f"SELECT {_COLUMNS} FROM sessions WHERE user_no = ? AND caller_id = ?"
    row = connection.execute(query, (user_no, caller_id)).fetchone()
    return SessionRow(*row) if row else None


def session_by_public_id(
    connection: sqlite3.Connection, user_no: int | None, public_id: str, known: int = EVER
) -> SessionRow:
    """A session by its opaque id.

    Args:
        connection: Reads.
        user_no: Whose; None for one who has nothing.
        public_id: The id, from whomever.
        known: Only if it had begun by then.

    Raises:
        InputError: If there is none such.
    """
    query = f"SELECT {_COLUMNS} FROM sessions WHERE user_no = ? AND public_id = ? AND started_at <= ?"
    row = connection.execute(query, (user_no, public_id, known)).fetchone()
    if row is None:
        raise InputError(
            f"There is no session {str(public_id)[:80]!r}; take an id from a list of sessions or a search."
        )
    return SessionRow(*row)


def turn_by_public_id(connection: sqlite3.Connection, user_no: int | None, public_id: str, known: int = EVER) -> int:
    """A turn's number by its opaque id.

    Raises:
        InputError: If there is none such, or it was not said by then.
    """
    parts = split_turn_id(str(public_id))
    if parts is not None and parts[1] < MAX_TURNS:  # beyond it, the number is of another session
        query = """
            SELECT turn_no FROM sessions JOIN turns ON turn_no = ?3 + (session_no << ?4)
            WHERE user_no = ?1 AND public_id = ?2 AND started_at <= ?5 AND ts <= ?5
        """
        row = connection.execute(query, (user_no, *parts, TURN_SHIFT, known)).fetchone()
        if row is not None:
            return row[0]
    raise InputError(f"There is no turn {str(public_id)[:80]!r}; take an id from a session or a search.")
