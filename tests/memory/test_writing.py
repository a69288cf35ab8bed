"""Ingest: the same again changes nothing, more is appended, and what is exported can be restored, whatever was said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module.errors import InputError
from rlm_module.memory import ExportedLine, IngestReport, Session, SessionChangedError, SqliteStore, Turn, read_line
from rlm_module.memory.samples import id_of, session
from tests.memory.chats import fresh_store, histories, sessions, turns

_ONE = session("one", "hello")
_FEW = settings(max_examples=40, deadline=None)


def held(store: SqliteStore, user: str = "ann") -> list[ExportedLine]:
    return list(store.user(user).export())


def plain(session: Session) -> tuple[object, ...]:
    """A session without ids, with offsets."""
    said = [(turn.role, turn.text, turn.ts.isoformat()) for turn in session.turns]
    return session.started_at.isoformat(), said


@given(histories)
@_FEW
def test_what_goes_in_comes_out(history: list[Session]) -> None:
    with fresh_store() as store:
        ann = store.user("ann")
        report = ann.ingest(history)
        assert report == IngestReport(added=len(history), turns=sum(len(session.turns) for session in history))
        for session in history:
            assert plain(ann.get_session(ann.session_id(session.id) or "")) == plain(session)


@given(histories, st.randoms())
@_FEW
def test_ingesting_again_in_any_order_changes_nothing(history: list[Session], order: object) -> None:
    with fresh_store() as store:
        store.user("ann").ingest(history)
        before = held(store)
        assert store.user("ann").ingest(history[::-1]) == IngestReport(unchanged=len(history))
        assert store.user("ann").ingest(iter(history), replace=True) == IngestReport(unchanged=len(history))
        assert held(store) == before


@given(sessions, st.lists(turns, min_size=1, max_size=3))
@_FEW
def test_further_turns_are_appended(session: Session, more: list[Turn]) -> None:
    longer = session.model_copy(update={"turns": (*session.turns, *more)})
    with fresh_store() as once, fresh_store() as twice:
        once.user("ann").ingest([longer])
        twice.user("ann").ingest([session])
        assert twice.user("ann").ingest([longer]) == IngestReport(appended=1, turns=len(more))
        assert held(once) == held(twice)
        with pytest.raises(SessionChangedError):
            once.user("ann").ingest([session])


@given(sessions, st.lists(turns, min_size=1, max_size=3))
@_FEW
def test_replacing_leaves_what_ingesting_anew_would(session: Session, others: list[Turn]) -> None:
    changed = session.model_copy(update={"turns": (Turn(role="user", text="0", ts=session.started_at), *others)})
    first = session.model_copy(update={"turns": (Turn(role="user", text="1", ts=session.started_at), *session.turns)})
    with fresh_store() as once, fresh_store() as twice:
        once.user("ann").ingest([changed])
        twice.user("ann").ingest([first])
        with pytest.raises(SessionChangedError):
            twice.user("ann").ingest([changed])
        assert twice.user("ann").ingest([changed], replace=True).replaced == 1
        assert held(once) == held(twice)
        assert twice.user("ann").search("1") == once.user("ann").search("1")


@given(histories)
@_FEW
def test_an_export_round_trips_as_lines_of_json(history: list[Session]) -> None:
    with fresh_store() as store, fresh_store() as other:
        store.user("ann").ingest(history)
        lines = held(store)
        written = [line.model_dump_json() for line in lines]
        other.user("ann").restore(read_line(line) for line in written)
        assert held(other) == lines
        assert [line.model_dump_json() for line in held(other)] == written


def test_a_list_is_checked_before_anything_is_written_and_a_generator_goes_on(tmp_path: Path) -> None:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)

    def session(name: str, text: str) -> Session:
        return Session(id=name, started_at=start, turns=(Turn(role="user", text=text, ts=start),) * 600)

    with SqliteStore(tmp_path / "memory.db") as store:
        ann = store.user("ann")
        ann.ingest([session("d", "old")])
        given = [session("a", "a"), session("b", "b"), session("c", "c"), session("d", "new")]
        with pytest.raises(SessionChangedError, match=r"Session 'd' has other turns .* replace=True"):
            ann.ingest(given)
        assert ann.session_id("a") is None
        with pytest.raises(SessionChangedError):
            ann.ingest(iter(given))
        assert ann.session_id("b") is not None  # the first thousand turns
        assert ann.session_id("c") is None  # in the transaction of the fault
        assert ann.ingest(iter(given), replace=True) == IngestReport(added=1, replaced=1, unchanged=2, turns=1_200)


def test_a_line_that_is_no_export_is_told_in_one_sentence() -> None:
    with pytest.raises(InputError, match="A line is not of an exported memory"):
        read_line('{"type": "session", "id": ""}')


def test_a_failed_restore_leaves_nothing(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "memory.db") as store:
        ann = store.user("ann")
        start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
        ann.ingest([Session(id="a", started_at=start, turns=(Turn(role="user", text="x", ts=start),))])

        def broken() -> Iterator[ExportedLine]:
            yield from held(store)
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="gone"):
            store.user("bob").restore(broken())
        assert list(store.users()) == ["ann"]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ([{"id": "a"}], "A session is dict; make it one with rlm_module.memory.read_session."),
        (None, "ingest takes sessions, not one NoneType; pass a list of them."),
        (_ONE, "ingest takes sessions, not one Session; pass a list of them."),
        (iter([_ONE, "b"]), "A session is str; make it one with rlm_module.memory.read_session."),
    ],
)
def test_what_is_no_session_is_refused_in_a_sentence(given: Any, fault: str) -> None:
    with fresh_store() as store:
        with pytest.raises(InputError) as refused:
            store.user("ann").ingest(given)
        assert str(refused.value) == fault
        assert list(store.users()) == []


def test_replacing_a_session_brings_no_forgotten_turn_back() -> None:
    with fresh_store() as store:
        ann = store.user("ann")
        ann.ingest([session("a", "one", "secret", "three")])
        public = id_of(ann, "a")
        ann.forget_turn(f"{public}.1")
        assert ann.ingest([session("a", "ONE", "secret", "three")], replace=True) == IngestReport(replaced=1, turns=2)
        assert [turn.text for turn in ann.get_session(public).turns] == ["ONE", "three"]
        assert ann.search("secret") == ()
        ann.forget_turn(f"{public}.0")
        ann.forget_turn(f"{public}.2")
        assert ann.ingest([session("a", "uno", "dos")], replace=True).turns == 0
        assert ann.list_sessions().items == ()
