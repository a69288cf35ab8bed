"""The store in one file of SQLite keeps the promises of the protocols, and the checks notice one that is broken."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from rlm_module.memory import SqliteStore
from rlm_module.memory.conformance import CHECKS, Check, run_checks
from rlm_module.memory.sqlite.user import SqliteUser


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_a_promise_is_kept(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with SqliteStore(path) as store:
        check(store)
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_a_broken_promise_is_found_and_told(tmp_path: Path) -> None:
    numbers = itertools.count()
    with patch.object(SqliteUser, "search", lambda *_, **__: ()):
        failures = run_checks(lambda: SqliteStore(tmp_path / f"{next(numbers)}.db"))
    found = {failure.check for failure in failures}
    assert {"check_search_ranks_by_words", "check_nothing_later_is_visible"} <= found
    assert "check_lists_come_in_pages" not in found
    assert all("\n" not in failure.reason for failure in failures)
