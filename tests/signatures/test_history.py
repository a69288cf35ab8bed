from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from rlm_module.errors import InputError
from rlm_module.signatures import ChatHistory, Session, Turn

NEW = {"id": "new", "timestamp": "2024-03-01T12:00:00", "turns": [{"role": "user", "text": "later"}]}
OLD = {"session_id": "old", "date": "2024-01-05", "messages": [{"role": "user", "content": "earlier"}]}


def test_messages_of_openais_form_are_one_session() -> None:
    parts = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "it"},
    ]
    history = ChatHistory([{"role": "user", "content": parts}, {"role": "assistant", "content": None}])
    assert history.sessions == (Session("session_1", (Turn("user", "see\nit"), Turn("assistant", ""))),)


def test_sessions_are_put_in_order_of_time() -> None:
    history = ChatHistory([NEW, OLD])
    assert [session.id for session in history.sessions] == ["old", "new"]
    assert history.sessions[0].timestamp == dt.datetime(2024, 1, 5)
    assert ChatHistory(history) == history == ChatHistory({"sessions": [NEW, OLD]})
    assert [session.id for session in ChatHistory([[NEW["turns"][0]], OLD]).sessions] == ["session_1", "old"]  # type: ignore[index]


def test_files_are_read(tmp_path: Path) -> None:
    expected = ChatHistory([NEW, OLD])
    (tmp_path / "a.json").write_text(json.dumps([NEW, OLD]))
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, [NEW, OLD])))
    lines = [{"session": number % 2, "role": "user", "content": str(number)} for number in range(4)]
    (tmp_path / "b.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    assert ChatHistory.read(tmp_path / "a.json") == ChatHistory.read(str(tmp_path / "a.jsonl")) == expected
    grouped = ChatHistory.read(tmp_path / "b.jsonl").sessions
    assert [(session.id, [turn.text for turn in session.turns]) for session in grouped] == [
        ("0", ["0", "2"]),
        ("1", ["1", "3"]),
    ]
    (tmp_path / "c.json").write_text("{nothing")
    with pytest.raises(InputError, match="neither JSON nor JSONL"):
        ChatHistory.read(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        (dt.date(2024, 3, 1), ["early", "at noon", "late"]),
        ("2024-03-01", ["early", "at noon", "late"]),
        (dt.datetime(2024, 3, 1, 12, 30), ["early", "at noon"]),
        ("2024-03-01T12:30:00+00:00", ["early", "at noon"]),
        (dt.date(2024, 1, 1), []),
    ],
)
def test_as_of_leaves_out_what_came_later(moment: Any, left: list[str]) -> None:
    turns = [
        {"role": "user", "text": "at noon"},
        {"role": "user", "text": "late", "timestamp": "2024-03-01T18:00:00"},
    ]
    early = {"timestamp": "2024-01-05", "turns": [{"role": "user", "text": "early"}]}
    undated = {"id": "undated", "turns": [{"role": "user", "text": "whenever"}]}
    history = ChatHistory([early, {"timestamp": "2024-03-01T12:00:00", "turns": turns}, undated])
    assert [turn.text for session in history.as_of(moment).sessions for turn in session.turns] == left


def test_times_compare_also_where_only_some_name_a_zone() -> None:
    history = ChatHistory([NEW, {"timestamp": 1_700_000_000, "turns": [{"role": "user", "text": "x"}]}])
    times = [session.timestamp for session in history.sessions]
    assert times == [dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=dt.UTC), dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)]


@pytest.mark.parametrize(
    ("sessions", "message"),
    [
        (3, "list of sessions or messages"),
        ([3], "A session is"),
        ([{"turns": [3]}], "A message is"),
        ([{"timestamp": "soon", "turns": []}], "'soon' is no time"),
        ([OLD, OLD], "Two sessions have the id 'old'"),
    ],
)
def test_what_is_no_history_is_refused(sessions: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ChatHistory(sessions)
