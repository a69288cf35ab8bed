"""Strategies for sessions, and a store that lasts for an example."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from rlm_module.memory import Session, SqliteStore, Turn

_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))

times = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1), timezones=_OFFSETS)
texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(["", "a cat", "日本語", "x" * 5_000])
turns = st.builds(Turn, role=st.sampled_from(["user", "assistant", "system", "tool"]), text=texts, ts=times)
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
sessions = st.builds(Session, id=ids, started_at=times, turns=st.lists(turns, min_size=1, max_size=6).map(tuple))
histories = st.lists(sessions, max_size=6, unique_by=lambda session: session.id)


@contextmanager
def fresh_store() -> Generator[SqliteStore]:
    with tempfile.TemporaryDirectory() as folder, SqliteStore(Path(folder) / "memory.db") as store:
        yield store
