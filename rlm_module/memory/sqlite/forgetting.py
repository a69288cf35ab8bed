"""Out of the file: rows, what was derived of them, and the bytes that they leave behind."""

from __future__ import annotations

import sqlite3

from rlm_module.memory.errors import StoreBusyError
from rlm_module.memory.found import Forgotten
from rlm_module.memory.sqlite.numbers import session_of, turns_of_session, turns_of_user, user_of


def forget_turns(connection: sqlite3.Connection, first: int, last: int) -> Forgotten:
    """Removes turns, the observations that rest on one of them, and what superseded those.

    Args:
        connection: In a transaction.
        first: Number of the first.
        last: Number of the last; both are of one user.
    """
    span = (first, last)
    gone = _forget_observations(
        connection, "SELECT DISTINCT observation_no FROM sources WHERE turn_no BETWEEN ? AND ?", span
    )
    (turns, chars) = connection.execute(
        "SELECT count(*), coalesce(sum(length(text)), 0) FROM turns WHERE turn_no BETWEEN ? AND ?", span
    ).fetchone()
    connection.execute(
        "UPDATE users SET turns = turns - ?, chars = chars - ? WHERE user_no = ?", (turns, chars, user_of(first))
    )
    connection.execute(
        """
        INSERT INTO turn_words (turn_words, rowid, text)
        SELECT 'delete', turn_no, indexed(text) FROM turns WHERE turn_no BETWEEN ? AND ?
        """,
        span,
    )
    connection.execute("DELETE FROM turns WHERE turn_no BETWEEN ? AND ?", span)
    return Forgotten(0, turns, gone)


def forget_turn(connection: sqlite3.Connection, turn_no: int) -> Forgotten:
    """Removes one turn; its place stays empty."""
    gone = forget_turns(connection, turn_no, turn_no)
    connection.execute("UPDATE sessions SET turns = turns - 1 WHERE session_no = ?", (session_of(turn_no),))
    return gone


def forget_turns_of(connection: sqlite3.Connection, session_no: int) -> Forgotten:
    """Removes what a session holds and what was observed of it, and leaves the session itself."""
    gone = forget_turns(connection, *turns_of_session(session_no))
    more = forget_observations_of(connection, session_no)
    connection.execute("DELETE FROM observed WHERE session_no = ?", (session_no,))
    connection.execute("UPDATE sessions SET turns = 0 WHERE session_no = ?", (session_no,))
    return Forgotten(0, gone.turns, gone.observations + more)


def forget_observations_of(connection: sqlite3.Connection, session_no: int) -> int:
    """Removes the observations that were made of a session; how many those were."""
    return _forget_observations(
        connection, "SELECT observation_no FROM observations WHERE session_no = ?", (session_no,)
    )


def forget_session(connection: sqlite3.Connection, session_no: int) -> Forgotten:
    """Removes a session."""
    gone = forget_turns_of(connection, session_no)
    connection.execute("DELETE FROM sessions WHERE session_no = ?", (session_no,))
    return Forgotten(1, gone.turns, gone.observations)


def forget_user(connection: sqlite3.Connection, user_no: int) -> Forgotten:
    """Removes a user and all there is of them."""
    mine = "SELECT session_no FROM sessions WHERE user_no = ?"
    observations = _forget_observations(
        connection, "SELECT observation_no FROM observations WHERE user_no = ?", (user_no,)
    )
    gone = forget_turns(connection, *turns_of_user(user_no))
    connection.execute(f"DELETE FROM observed WHERE session_no IN ({mine})", (user_no,))
    sessions = connection.execute("DELETE FROM sessions WHERE user_no = ?", (user_no,)).rowcount
    connection.execute("DELETE FROM users WHERE user_no = ?", (user_no,))
    return Forgotten(sessions, gone.turns, observations)


def purge(connection: sqlite3.Connection, path: str) -> None:
    """Leaves no byte of what was forgotten in the file or its log.

    Args:
        connection: Outside of a transaction.
        path: The file, for the error.

    Raises:
        StoreBusyError: If others read for so long that the log could not be emptied.
    """
    # A removed word stays in the index beside the note that it is removed until its parts are merged into one.
    connection.execute("INSERT INTO turn_words (turn_words) VALUES ('optimize')")
    connection.execute("VACUUM")
    (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreBusyError(
            f"{path} was read for so long that what is forgotten is still in its log; call purge() when that is over."
        )


def _forget_observations(connection: sqlite3.Connection, query: str, parameters: tuple[int, ...]) -> int:
    """Removes the observations whose numbers a query gives, and what superseded them, which may tell what they said.

    The sessions of which those were made are to be observed anew.
    """
    given = {number for (number,) in connection.execute(query, parameters)}
    gone, later = set(given), given
    while later:
        query = "SELECT observation_no FROM observations WHERE supersedes = ?"
        found = {number for one in later for (number,) in connection.execute(query, (one,))}
        later = found - gone
        gone |= later
    connection.executemany(
        "DELETE FROM observed WHERE session_no = (SELECT session_no FROM observations WHERE observation_no = ?)",
        [(number,) for number in sorted(gone - given)],
    )
    numbers = [(number,) for number in sorted(gone)]
    connection.executemany("DELETE FROM sources WHERE observation_no = ?", numbers)
    connection.executemany("DELETE FROM observations WHERE observation_no = ?", numbers)
    return len(numbers)
