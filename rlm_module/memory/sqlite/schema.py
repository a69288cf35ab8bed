"""The tables of a store's file, as migrations to which later versions only append."""

from __future__ import annotations

import sqlite3

from rlm_module.memory.errors import StoreError

APPLICATION_ID = 0x726C6D6D
"""Marks a file as a store (`rlmm`)."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE users (
            user_no INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            next_session INTEGER NOT NULL DEFAULT 0,
            turns INTEGER NOT NULL DEFAULT 0,
            chars INTEGER NOT NULL DEFAULT 0
        )
        """,
        """
        CREATE TABLE sessions (
            session_no INTEGER PRIMARY KEY,
            user_no INTEGER NOT NULL,
            public_id TEXT NOT NULL,
            caller_id TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            started_offset INTEGER NOT NULL,
            length INTEGER NOT NULL,
            turns INTEGER NOT NULL,
            last_at INTEGER NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX sessions_by_public_id ON sessions (user_no, public_id)",
        "CREATE UNIQUE INDEX sessions_by_caller_id ON sessions (user_no, caller_id)",
        "CREATE INDEX sessions_by_time ON sessions (user_no, started_at, session_no)",
        """
        CREATE TABLE turns (
            turn_no INTEGER PRIMARY KEY,
            role INTEGER NOT NULL,
            ts INTEGER NOT NULL,
            ts_offset INTEGER NOT NULL,
            text NOT NULL
        )
        """,
        # Only who has which word is kept, which is all that finding candidates needs; they are ranked by their texts.
        """
        CREATE VIRTUAL TABLE turn_words USING fts5 (
            text, content = '', detail = none, columnsize = 0, tokenize = "porter unicode61 remove_diacritics 2"
        )
        """,
        # Parts of the index are merged by sixteen, not by four: ingest is a quarter faster, and finding hardly slower.
        "INSERT INTO turn_words (turn_words, rank) VALUES ('automerge', 16)",
        "INSERT INTO turn_words (turn_words, rank) VALUES ('crisismerge', 32)",
        """
        CREATE TABLE observations (
            observation_no INTEGER PRIMARY KEY AUTOINCREMENT,
            user_no INTEGER NOT NULL,
            session_no INTEGER NOT NULL,
            public_id TEXT NOT NULL,
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            subject_key TEXT NOT NULL,
            value TEXT NOT NULL,
            stated_at INTEGER NOT NULL,
            stated_offset INTEGER NOT NULL,
            refers_start INTEGER,
            refers_start_offset INTEGER,
            refers_end INTEGER,
            refers_end_offset INTEGER,
            known_at INTEGER NOT NULL,
            supersedes INTEGER
        )
        """,
        "CREATE UNIQUE INDEX observations_by_public_id ON observations (user_no, public_id)",
        "CREATE INDEX observations_by_time ON observations (user_no, stated_at, observation_no)",
        "CREATE INDEX observations_by_kind ON observations (user_no, kind, stated_at, observation_no)",
        "CREATE INDEX observations_by_subject ON observations (user_no, subject_key, stated_at, observation_no)",
        "CREATE INDEX observations_by_session ON observations (session_no)",
        "CREATE INDEX observations_by_superseded ON observations (supersedes) WHERE supersedes IS NOT NULL",
        """
        CREATE TABLE sources (
            observation_no INTEGER NOT NULL,
            place INTEGER NOT NULL,
            turn_no INTEGER NOT NULL,
            PRIMARY KEY (observation_no, place)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX sources_by_turn ON sources (turn_no)",
        """
        CREATE TABLE observed (
            session_no INTEGER NOT NULL,
            observer TEXT NOT NULL,
            through INTEGER NOT NULL,
            PRIMARY KEY (session_no, observer)
        ) WITHOUT ROWID
        """,
    ),
)


def version(connection: sqlite3.Connection, path: str) -> int:
    """How many migrations a file has had; 0 for a new one.

    Raises:
        StoreError: If it is something else, or has had more of them than this version knows.
    """
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if mark != APPLICATION_ID and (mark or found or tables):
        raise StoreError(f"{path} is a database of something else; name another file for the memory.")
    if found > len(MIGRATIONS):
        raise StoreError(
            f"{path} was written by a later version of rlm-module (its tables have version {found}, this one knows "
            f"{len(MIGRATIONS)}); update rlm-module."
        )
    return found


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Brings a file up to date, in one transaction."""
    if version(connection, path) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in MIGRATIONS[version(connection, path) :]:  # another process may have been faster
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
