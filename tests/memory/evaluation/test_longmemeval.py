"""LongMemEval's files as cases: what arms see of a record, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from rlm_module.errors import InputError
from rlm_module.memory.evaluation.longmemeval import case_of, read_cases
from tests.memory.evaluation.records import record, turn


def test_a_record_becomes_a_case() -> None:
    case = case_of(record())
    assert (case.id, case.question) == ("q1", "What is my dog called?")
    assert case.as_of == dt.datetime(2023, 5, 30, 23, 40, tzinfo=dt.UTC)
    assert [session.started_at.day for session in case.sessions] == [20, 21, 22]
    assert [(t.role, t.text) for t in case.sessions[1].turns] == [
        ("user", "Rex chewed my slipper."),
        ("assistant", "Oh dear."),
    ]
    assert (case.key.answer, case.key.is_abstention) == ("Rex", False)
    assert case.key.sessions == {case.sessions[1].id}
    assert case.key.turns == {(case.sessions[1].id, 0)}
    assert case.evidence_sessions == case.sessions[1:2]


def test_published_ids_and_marks_do_not_reach_the_sessions() -> None:
    case = case_of(record())
    shown = json.dumps([session.model_dump(mode="json") for session in case.sessions])
    assert not [mark for mark in ("answer_2", "sharegpt", "ultrachat", "has_answer", "single-session") if mark in shown]


def test_a_session_that_stands_twice_is_two_sessions() -> None:
    twice = record()
    for field in ("haystack_session_ids", "haystack_dates", "haystack_sessions"):
        twice[field] = [*twice[field], twice[field][1]]
    case = case_of(twice)
    assert len({session.id for session in case.sessions}) == 4
    assert case.key.sessions == {case.sessions[1].id, case.sessions[3].id}


def test_an_empty_session_leaves_the_others_where_they_were() -> None:
    some = record()
    some["haystack_sessions"][0] = []
    assert [session.id for session in case_of(some).sessions] == [
        session.id for session in case_of(record()).sessions[1:]
    ]


def test_abstention_is_told_by_the_id_and_numbers_are_answers() -> None:
    assert case_of(record("q9_abs")).key.is_abstention
    assert case_of(record(answer=3)).key.answer == "3"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"question_date": "yesterday"}, "`question_date` of item 1"),
        ({"haystack_dates": ["2023/05/20 (Sat) 02:21"]}, "has 3 sessions and 1 dates"),
        ({"question_type": "riddle"}, "'q2' has the type 'riddle', which is none of single-session-user"),
        ({"haystack_sessions": [[turn("wizard", "Abracadabra")]] * 3}, "has the role 'wizard'"),
        ({"haystack_sessions": None}, "is NoneType and no array"),
        ({"haystack_sessions": [[{"role": "user", "text": "hi"}]] * 3}, "Turn 0 of session 0 of item 1"),
        ({"question_date": 1e20}, "`question_date` of item 1"),
        ({"answer_session_ids": 3}, "`answer_session_ids` of item 1"),
        ({"answer_session_ids": [["a"]]}, "holds what is no id"),
        ({"haystack_session_ids": 5}, "`haystack_session_ids` of item 1"),
        ({"question_id": "\ud800"}, "`question_id` of item 1"),
        ({"question": ""}, "`question` of item 1"),
        ({"question": None}, "is None, which is no text"),
    ],
)
def test_a_record_that_cannot_be_used_is_told_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], fault: str
) -> None:
    path = tmp_path / "set.json"
    path.write_text(json.dumps([record(), record("q2", **changes)]))
    with pytest.raises(InputError) as refused:
        list(read_cases(path))
    assert str(path) in str(refused.value)
    assert fault in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_two_questions_of_one_id_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_text(json.dumps([record(), record()]))
    with pytest.raises(InputError, match="two questions with the id 'q1'"):
        list(read_cases(path))


def test_content_in_parts_is_its_text() -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "My dog is Rex."}, {"type": "image"}]}]
    case = case_of(record(haystack_sessions=[parts] * 3))
    assert [turn.text for turn in case.sessions[0].turns] == ["My dog is Rex."]
