"""The generated test set: its form, its answers, and that a search for the question's words does not solve it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from rlm_module.errors import InputError
from rlm_module.memory.evaluation.cases import DATE_FORMAT, QUESTION_TYPES
from rlm_module.memory.evaluation.generated import (
    GENERATOR_VERSION,
    GeneratedQuestion,
    Statement,
    generate,
    write_generated,
)
from rlm_module.memory.evaluation.generated.questions import POOLS
from rlm_module.memory.evaluation.generated.topics import phrase
from rlm_module.memory.evaluation.longmemeval import read_cases

# A list of its own: what counts as a content word is not the generator's to say.
STOP = frozenset(
    """
    a about after again against all am an and any are as at be because been before being between both but by came can
    could did do does doing down for from further had has have having he her here hers him his how i if in into is it
    its itself me more most my no nor not of off on once only or other our out over own same she should so some such
    than that the their them then there these they this those through to too under until up very was we were what when
    where which while who whom why will with would you your s t ago day days one present passed many much now first lie
    """.split()  # noqa: SIM905
)
FIELDS = {
    "question_id",
    "question_type",
    "question",
    "answer",
    "question_date",
    "haystack_session_ids",
    "haystack_dates",
    "haystack_sessions",
    "answer_session_ids",
}


@pytest.fixture(scope="module")
def questions() -> list[GeneratedQuestion]:
    return list(generate(seed=3, questions=84, sessions=25))


def stems(text: str) -> set[str]:
    words = set(re.findall(r"[a-z]+", text.lower())) - STOP
    return {re.sub(r"(?:ing|ed|es|s)$", "", word) for word in words}


def shared_words(record: dict[str, Any]) -> float:
    turns = [turn["content"] for session in record["haystack_sessions"] for turn in session if turn.get("has_answer")]
    asked = stems(record["question"])
    return len(asked & stems(" ".join(turns))) / len(asked)


def evidence(question: GeneratedQuestion) -> list[Statement]:
    return [statement for statement in question.statements if statement.is_evidence]


def test_it_is_the_same_for_the_same_seed_only(questions: list[GeneratedQuestion]) -> None:
    assert list(generate(seed=3, questions=5, sessions=25)) == questions[:5]
    assert list(generate(seed=4, questions=5, sessions=25)) != questions[:5]


def test_records_have_the_benchmarks_fields_and_lengths(questions: list[GeneratedQuestion]) -> None:
    for record in (question.record for question in questions):
        assert set(record) == FIELDS
        assert (
            len(record["haystack_session_ids"])
            == len(record["haystack_dates"])
            == len(record["haystack_sessions"])
            == 25
        )
        assert len(set(record["haystack_session_ids"])) == 25


def test_all_types_and_abstention_take_turns(questions: list[GeneratedQuestion]) -> None:
    answerable = [q.record for q in questions if not q.record["question_id"].endswith("_abs")]
    silent = [q.record for q in questions if q.record["question_id"].endswith("_abs")]
    assert Counter(record["question_type"] for record in answerable) == dict.fromkeys(QUESTION_TYPES, 12)
    assert Counter(record["question_type"] for record in silent) == dict.fromkeys(QUESTION_TYPES, 2)


def test_hardly_a_word_of_a_question_stands_in_its_evidence(questions: list[GeneratedQuestion]) -> None:
    shares = {question.record["question"]: shared_words(question.record) for question in questions}
    assert {text: share for text, share in shares.items() if share > 0.3} == {}


def test_no_template_can_give_a_question_too_many_of_its_evidences_words() -> None:
    for kind, pool in POOLS.items():
        for topic in pool:
            said = " ".join(
                phrase(template, Random(seed), value="", amount="", when="")
                for template in topic.said
                for seed in range(9)
            )
            for asked in (*topic.asked, *topic.asked_before):
                for seed in range(9):
                    words = stems(phrase(asked, Random(seed)))
                    assert len(words & stems(said)) / len(words) <= 0.3, (kind, topic.name, words & stems(said))


def test_marked_turns_hold_what_was_said_and_nothing_else_is_marked(questions: list[GeneratedQuestion]) -> None:
    for question in questions:
        sessions = question.record["haystack_sessions"]
        for statement in question.statements:
            assert statement.text in sessions[statement.session][statement.turn]["content"]
        marked = {
            (at, number)
            for at, session in enumerate(sessions)
            for number, turn in enumerate(session)
            if turn.get("has_answer")
        }
        assert marked == {(statement.session, statement.turn) for statement in evidence(question)}
        holding = {question.record["haystack_session_ids"][at] for at, _ in marked}
        assert set(question.record["answer_session_ids"]) == holding


def test_answers_follow_from_the_evidence(questions: list[GeneratedQuestion]) -> None:
    seen: set[str] = set()
    for question in questions:
        record, found = question.record, evidence(question)
        if record["question_id"].endswith("_abs"):
            assert found == []
            continue
        seen.add(question.operation)
        assert record["answer"] == expected(question, found)
    assert seen == {"value", "newest", "previous", "count", "sum", "days_between", "days_since", "first"}


def expected(question: GeneratedQuestion, found: list[Statement]) -> str | None:
    """The answer, worked out anew from the sentences' meanings."""
    days = [next(s.happened_on for s in found if s.topic == topic) for topic in question.topics]
    asked_on = dt.datetime.strptime(question.record["question_date"], DATE_FORMAT).date()
    match question.operation:
        case "value" | "newest":
            return found[-1].value
        case "previous":
            return found[-2].value
        case "count":
            return str(len({statement.value for statement in found}))
        case "sum":
            return str(sum(statement.amount or 0 for statement in found))
        case "days_since":
            return str((asked_on - days[0]).days) if days[0] else None
        case "days_between":
            return str(abs((days[0] - days[1]).days)) if days[0] and days[1] else None
        case "first":
            return "ab"[days[0] > days[1]] if days[0] and days[1] and days[0] != days[1] else None


def test_an_abstention_question_is_about_what_others_did_only(questions: list[GeneratedQuestion]) -> None:
    for question in questions:
        if question.record["question_id"].endswith("_abs"):
            told = {statement.topic for statement in question.statements}
            assert not told.issuperset(question.topics)


def test_what_changes_is_told_again_after_the_question(questions: list[GeneratedQuestion]) -> None:
    for question in questions:
        asked_at = dt.datetime.strptime(question.record["question_date"], DATE_FORMAT)
        times = [dt.datetime.strptime(date, DATE_FORMAT) for date in question.record["haystack_dates"]]
        assert times == sorted(times)
        later = [number for number, time in enumerate(times) if time > asked_at]
        is_update = question.operation in ("newest", "previous") and "_abs" not in question.record["question_id"]
        assert len(later) == is_update
        assert all(statement.session not in later for statement in evidence(question))


@pytest.mark.parametrize("sessions", [25, 500])
def test_any_size_can_be_filled(sessions: int) -> None:
    for question in generate(seed=1, questions=7, sessions=sessions):
        assert len(question.record["haystack_sessions"]) == sessions
        texts = [turn["content"] for session in question.record["haystack_sessions"] for turn in session]
        assert len(set(texts)) > 0.8 * len(texts)
        assert not [text for text in texts if set(text) & set("{|}")]


@pytest.mark.parametrize(("questions", "sessions"), [(0, 50), (1, 24), (1, 501)])
def test_other_sizes_are_refused(questions: int, sessions: int) -> None:
    with pytest.raises(InputError, match="ask for"):
        generate(questions=questions, sessions=sessions)


def test_the_file_reads_as_the_benchmarks_does(tmp_path: Path, questions: list[GeneratedQuestion]) -> None:
    path = tmp_path / "set.json"
    assert write_generated(path, questions) == len(questions)
    assert json.loads(path.read_text()) == [question.record for question in questions]
    cases = list(read_cases(path))
    assert [case.key.answer for case in cases] == [question.record["answer"] for question in questions]
    assert [case.key.turns for case in cases] == [
        {(f"{statement.session:05d}", statement.turn) for statement in evidence(question)} for question in questions
    ]


def test_a_slot_without_a_filling_is_noticed() -> None:
    with pytest.raises(KeyError):
        phrase("{a|b} {value}", Random(0))


def test_another_set_for_the_same_seed_has_another_version() -> None:
    records = [question.record for question in generate(seed=3, questions=14, sessions=25)]
    found = hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()[:16]
    assert (GENERATOR_VERSION, found) == (1, "0ef99aa8c6ddf9a3")
