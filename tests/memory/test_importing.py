"""Files from elsewhere: what becomes of them, what is told of odd ones, and that a bad one changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from rlm_module.errors import InputError
from rlm_module.memory import Read, SqliteStore, read_anthropic, read_json_lines, read_longmemeval, read_openai
from rlm_module.memory.importing import json_files

CHATGPT: dict[str, Any] = {
    "conversation_id": "c-1",
    "title": "Bikes",
    "create_time": 1_704_096_000.5,
    "current_node": "d",
    "mapping": {
        "root": {"id": "root", "message": None, "parent": None, "children": ["a"]},
        "a": {
            "message": {"author": {"role": "system"}, "content": {"content_type": "text", "parts": [""]}},
            "parent": "root",
            "children": ["b"],
        },
        "b": {
            "message": {
                "author": {"role": "user"},
                "create_time": 1_704_096_060,
                "content": {"content_type": "multimodal_text", "parts": [{"asset_pointer": "x"}, "a bike\ud83d"]},
            },
            "parent": "a",
            "children": ["c", "d"],
        },
        "c": {
            "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["dropped"]}},
            "parent": "b",
            "children": [],
        },
        "d": {
            "message": {"author": {"role": "assistant"}, "content": {"content_type": "code", "text": "print()"}},
            "parent": "b",
            "children": [],
        },
    },
}
CLAUDE: dict[str, Any] = {
    "uuid": "u-1",
    "name": "Hats",
    "created_at": "2024-01-01T08:00:00.000000Z",
    "chat_messages": [
        {
            "sender": "human",
            "text": "old form",
            "content": [{"type": "text", "text": "a hat"}, {"type": "tool_use", "name": "x"}],
            "created_at": "2024-01-01T08:00:01Z",
            "attachments": [{"file_name": "list.txt", "extracted_content": "red, blue"}],
        },
        {"sender": "assistant", "text": "nice", "content": [], "created_at": "2024-01-01T08:00:02Z"},
    ],
}


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value))
    return path


def said(read: Read) -> list[list[tuple[str, str]]]:
    return [[(turn.role, turn.text) for turn in session.turns] for session in read.sessions]


def test_chatgpt_the_branch_shown_last_without_what_has_no_words(tmp_path: Path) -> None:
    read = read_openai(write(tmp_path / "conversations.json", [CHATGPT]))
    assert said(read) == [[("user", "a bike\ufffd"), ("assistant", "print()")]]
    (session,) = read.sessions
    assert (session.id, session.started_at.isoformat()) == ("c-1", "2024-01-01T08:00:00.500000+00:00")
    assert [turn.ts.isoformat() for turn in session.turns] == [
        "2024-01-01T08:01:00+00:00",
        "2024-01-01T08:00:00.500000+00:00",
    ]
    without = {**CHATGPT, "current_node": None}
    assert said(read_openai(write(tmp_path / "without.json", [without]))) == said(read)


def test_claude_with_what_was_attached(tmp_path: Path) -> None:
    read = read_anthropic(write(tmp_path / "conversations.json", [CLAUDE]))
    assert said(read) == [[("user", "a hat\n\n[list.txt]\nred, blue"), ("assistant", "nice")]]


def test_parts_that_are_no_text_are_left_out_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "claude.json", [CLAUDE])
    note = "{} parts of {}, such as pictures, are no text and are left out."
    assert read_anthropic(path).notes == (note.format(1, path),)
    picture = {"sender": "human", "text": "", "files": [{"file_name": "cat.png"}], "attachments": [{"file_size": 9}]}
    path = write(tmp_path / "files.json", [{**CLAUDE, "chat_messages": [picture]}])
    assert note.format(2, path) in read_anthropic(path).notes
    path = write(tmp_path / "chatgpt.json", [CHATGPT])
    assert read_openai(path).notes == (note.format(1, path),)
    path = tmp_path / "lines.jsonl"
    parts = [{"type": "image_url", "image_url": "x"}, {"type": "text", "text": "a cat"}]
    path.write_text(json.dumps({"session_id": "a", "role": "user", "content": parts, "ts": "2024-01-01T00:00Z"}))
    read = read_json_lines(path)
    assert (said(read), read.notes) == ([[("user", "a cat")]], (note.format(1, path),))


def test_a_turn_whose_content_is_null_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"session_id": "a", "role": "assistant", "content": null, "ts": "2024-01-01T00:00Z"}')
    assert said(read_json_lines(path)) == [[("assistant", "")]]


def test_json_lines_of_sessions_and_of_messages(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    lines = [
        {"id": "a", "started_at": "2024-01-02T10:00:00", "turns": [{"role": "user", "text": "one"}]},
        {"session_id": 7, "role": "human", "content": "two", "timestamp": "2024-01-01T10:00:00+05:00"},
        {"session_id": 7, "role": "model", "content": [{"text": "three"}, "four"], "date": 1_704_096_000},
    ]
    path.write_text("\n\n".join(json.dumps(line) for line in lines))
    read = read_json_lines(path, zone=ZoneInfo("Asia/Tokyo"))
    assert said(read) == [[("user", "one")], [("user", "two"), ("assistant", "three\nfour")]]
    assert [session.id for session in read.sessions] == ["a", "7"]
    assert [session.started_at.isoformat() for session in read.sessions] == [
        "2024-01-02T10:00:00+09:00",
        "2024-01-01T10:00:00+05:00",
    ]
    assert list(read.notes) == [
        f"Sessions of {path} are not in the order of their times; lists will be.",
        f"1 times of {path} name no zone and were read in Asia/Tokyo.",
    ]


def test_what_is_odd_is_kept_and_told(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    turns = [{"role": "user", "text": ""}, {"role": "user", "text": "x" * 5_000_000}]
    lines = [
        {"id": "a", "started_at": "2024-01-02T10:00:00Z", "turns": turns},
        {"id": "b", "started_at": "2024-01-02T10:00:00Z", "turns": []},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    read = read_json_lines(path)
    assert list(read.notes) == [
        f"1 turns of {path} are empty; they are kept, and no search finds them.",
        f"1 sessions of {path} have no turns and are left out, as 'b'.",
        "Turn 1 of session 'a' has 5,000,000 characters; it is kept whole.",
    ]
    with SqliteStore(tmp_path / "memory.db") as store:
        ann = store.user("ann")
        ann.ingest(read.sessions)
        assert [len(turn.text) for turn in ann.get_session(ann.session_id("a") or "").turns] == [0, 5_000_000]


GOOD = '{"id": "a", "started_at": "2024-01-01", "turns": [{"role": "user", "text": "hi"}]}'


@pytest.mark.parametrize(
    ("reader", "text", "fault"),
    [
        (read_openai, json.dumps([CHATGPT])[:-40], r"may be truncated, so get it anew"),
        (read_openai, json.dumps([CHATGPT])[:-40] + "]", r"Item 0 of .* is no JSON"),
        (read_openai, json.dumps([CHATGPT, CHATGPT]), r"Two sessions of .* have the id 'c-1'"),
        (read_openai, json.dumps([CLAUDE]), r"Item 0 of .* is no conversation of ChatGPT"),
        (read_openai, json.dumps([{**CHATGPT, "current_node": "gone"}]), r"do not lead to its beginning"),
        (read_openai, json.dumps({"a": [1]}) + "]", r"is no JSON array"),
        (read_openai, "[" * 100_000 + "]", r"nested too deeply|is no JSON"),
        (read_anthropic, json.dumps([CHATGPT]), r"Item 0 of .* is no conversation of Claude"),
        (read_openai, json.dumps([{**CHATGPT, "current_node": ["d"]}]), r"do not lead to its beginning"),
        (read_openai, json.dumps([CHATGPT]) * 2, r"goes on after its array's end \('\[\{\"conversation_id\":"),
        (read_openai, json.dumps([CHATGPT]) + " more ]", r"goes on after its array's end \('more \]'\)"),
        (read_anthropic, f"[{json.dumps(CLAUDE)}{json.dumps(CLAUDE)}]", r"Item 1 of .* does not come after a comma"),
        (read_anthropic, f"[{json.dumps(CLAUDE)},]", r"Item 1 of .* is no JSON"),
        (read_anthropic, '[{"uuid": ' + "1" * 5_000 + "}]", r"Item 0 of .* has a number of too many digits"),
        (read_json_lines, '{"id": ' + "1" * 5_000 + "}", r"Line 1 of .* has a number of too many digits"),
        (read_anthropic, json.dumps([CLAUDE, 3]), r"Item 1 of .* is int and no object"),
        (read_anthropic, json.dumps([{**CLAUDE, "created_at": "soon"}]), r"'soon' of session 'u-1' is no time"),
        (read_json_lines, GOOD + "\n" + GOOD[:50], r"Line 2 of .* is no JSON"),
        (read_json_lines, GOOD + "\n" + GOOD, r"Two sessions of .* have the id 'a'"),
        (read_json_lines, GOOD.replace("user", "wizard"), r"Turn 0 of session 'a' has the role 'wizard'"),
        (read_json_lines, GOOD.replace("started_at", "begun"), r"Session 'a' of .* has no time; give it `started_at`"),
        (read_json_lines, GOOD.replace("2024-01-01", "nan"), r"'nan' of session 'a' is no time"),
        (read_json_lines, '{"role": "user", "text": "hi"}', r"Line 1 of .* names no session"),
        (
            read_json_lines,
            GOOD.replace('"hi"', "5"),
            r"A turn in line 1 of .* has no text; give it `text` or `content`",
        ),
        (read_json_lines, GOOD.replace('"hi"', '{"text": "hi"}'), r"A turn in line 1 of .* has no text"),
        (read_json_lines, GOOD.replace('"text"', '"txt"'), r"A turn in line 1 of .* has no text"),
        (read_json_lines, "[1]", r"Line 1 of .* is list and no object"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(
    reader: Callable[[Path], Read], text: str, fault: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(InputError, match=fault) as refused:
        reader(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("reader", [read_openai, read_anthropic, read_json_lines])
def test_what_is_no_file_or_no_text_is_told_in_one_sentence(reader: Callable[[Path], Read], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        reader(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"[\xff\xfe]")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        reader(tmp_path / "binary")


def test_items_are_read_across_pieces_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"a": "é" * 50, "b": [1, {"c": None}]}, [], 12345, "text", {"z": {}}]
    path = tmp_path / "file.json"
    path.write_text(json.dumps(values, indent=3), encoding="utf-8-sig")
    for size in (4, 7, 64, 1 << 20):
        monkeypatch.setattr(json_files, "_CHUNK_CHARS", size)
        assert [value for value in json_files.items(path) if not isinstance(value, int)] == [
            value for value in values if not isinstance(value, int)
        ]


def longmemeval(marker: str) -> dict[str, Any]:
    """An item whose fields for the evaluation hold a marker wherever they can."""
    return {
        "question_id": f"{marker}_abs",
        "question_type": f"{marker}-type",
        "question": f"{marker} question?",
        "answer": f"{marker} answer",
        "question_date": "2023/05/30 (Tue) 23:40",
        "haystack_session_ids": [f"answer_{marker}_1", "sharegpt_x", f"answer_{marker}_1"],
        "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/10 (Wed) 10:00", "2023/05/20 (Sat) 02:21"],
        "haystack_sessions": [
            [
                {"role": "user", "content": "my cat is Tom", "has_answer": f"has {marker}"},
                {"role": "assistant", "content": ""},
            ],
            [{"role": "user", "content": "other"}],
            [{"role": "user", "content": "my cat is Tom", "has_answer": True}],
        ],
        "answer_session_ids": [f"answer_{marker}_1"],
        f"extra {marker}": marker,
    }


def test_nothing_that_the_evaluation_knows_enters_a_store(tmp_path: Path) -> None:
    (record,) = read_longmemeval(write(tmp_path / "data.json", [longmemeval("MARKER")]))
    (tmp_path / "store").mkdir()
    with SqliteStore(tmp_path / "store" / "memory.db") as store:
        user = store.user(record.user)
        user.ingest(record.sessions)
        shown = [*user.list_sessions().items, *user.search("cat"), *user.export()]
        for file in (tmp_path / "store").iterdir():
            data = file.read_bytes().lower()
            assert b"marker" not in data, file
            assert b"answer" not in data, file
            assert b"sharegpt" not in data, file
        assert "answer" not in repr(shown)
        assert len(user.list_sessions().items) == 3  # the repeated one is kept
        assert len(user.search("cat")) == 2


def test_what_the_evaluation_knows_is_kept_beside(tmp_path: Path) -> None:
    (record,) = read_longmemeval(write(tmp_path / "data.json", [longmemeval("q1")]))
    question = record.question
    assert (question.id, question.type, question.answer) == ("q1_abs", "q1-type", "q1 answer")
    assert question.abstention
    assert question.asked_at.isoformat() == "2023-05-30T23:40:00+00:00"
    assert question.evidence == ("00000", "00002")
    assert question.evidence_turns == (("00000", 0), ("00002", 0))
    assert [session.id for session in record.sessions] == ["00000", "00001", "00002"]
    assert "q1" not in record.user
    assert any("not in the order of their times" in note for note in record.notes)
    assert any("are empty" in note for note in record.notes)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"haystack_dates": []}, "has 3 sessions and 0 dates"),
        ({"question_date": "some day"}, "`question_date` of item 0 of .* is no time"),
        ({"haystack_sessions": [[1], [], []]}, "is int and no object"),
    ],
)
def test_a_bad_item_is_told_in_one_sentence(change: dict[str, Any], fault: str, tmp_path: Path) -> None:
    path = write(tmp_path / "data.json", [{**longmemeval("q"), **change}])
    with pytest.raises(InputError, match=fault):
        list(read_longmemeval(path))


def test_a_truncated_file_gives_no_item_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "data.json", [longmemeval("a"), longmemeval("b")])
    path.write_text(path.read_text()[:-100])
    with pytest.raises(InputError, match="may be truncated"):
        next(read_longmemeval(path))
