"""A store of two users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rlm_module.memory import SqliteStore
from tests.memory.cast import filled


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "memory.db") as made:
        yield filled(made)
