"""Places beyond a session's end, and cursors of another user, reach nobody else's memory."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pydantic
import pytest

from rlm_module.errors import InputError
from rlm_module.memory import SqliteStore
from rlm_module.memory.data import MAX_TURNS
from rlm_module.memory.exported import ExportedSession, ExportedTurn, read_line
from rlm_module.memory.samples import START, id_of, session
from rlm_module.memory.sqlite.numbers import turn_number

_OF_ANOTHER_USER = (1 << 44) | 7


def exported(position: int = 0, length: int = 1, observed: int = 0) -> ExportedSession:
    """A session that was checked by nobody."""
    turn = ExportedTurn.model_construct(position=position, role="user", text="planted wombat", ts=START)
    return ExportedSession.model_construct(
        type="session", id="e", public_id="z", started_at=START, length=length, turns=(turn,), observed={"o": observed}
    )


@pytest.mark.parametrize(
    "line",
    [
        exported(_OF_ANOTHER_USER, _OF_ANOTHER_USER + 1),
        exported(MAX_TURNS, MAX_TURNS + 1),
        exported(1, 1),
        exported(-1, 1),
        exported(0, 1, observed=2),
        exported(0, 1, observed=-1),
    ],
)
def test_a_restored_turn_stays_in_its_session(tmp_path: Path, line: ExportedSession) -> None:
    with SqliteStore(tmp_path / "memory.db") as store:
        for name in ("ann", "bob", "cy"):
            store.user(name).ingest([session(name, "hello")])
        store.user("bob").forget_user()
        with pytest.raises(InputError, match=r"Exported session 'e' cannot be restored: .*; export it anew"):
            store.user("bob").restore([line])
        assert store.user("cy").search("wombat") == ()
    with pytest.raises(InputError, match="A line is not of an exported memory"):
        read_line(line.model_dump_json())
    with pytest.raises(pydantic.ValidationError):
        ExportedSession.model_validate(line.model_dump())


@pytest.mark.parametrize("position", [-1, MAX_TURNS, _OF_ANOTHER_USER])
def test_a_number_is_of_no_other_session(position: int) -> None:
    with pytest.raises(InputError, match="has no position"):
        turn_number(1, position)


def test_a_turn_id_beyond_its_session_is_not_of_the_next_one(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "memory.db") as store:
        ann = store.user("ann")
        ann.ingest([session("a", "first"), session("b", "second", start=START + dt.timedelta(days=9))])
        with pytest.raises(InputError, match="There is no turn"):
            ann.get_turn(f"{id_of(ann, 'a')}.{MAX_TURNS}")


def test_restoring_a_session_twice_is_told_in_a_sentence(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "memory.db") as store:
        store.user("ann").ingest([session("a", "hello")])
        lines = list(store.user("ann").export())
        with pytest.raises(InputError, match=r"^The export holds session 'a' twice; pass each line once\.$"):
            store.user("bob").restore(lines + lines)
        assert list(store.users()) == ["ann"]
