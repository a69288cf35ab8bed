"""The generated test set: histories of made-up lives, and questions whose answers are exact."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from rlm_module.errors import InputError
from rlm_module.memory.evaluation.cases import DATE_FORMAT, QUESTION_TYPES, QuestionType
from rlm_module.memory.evaluation.generated.haystack import Haystack, haystack, session_times
from rlm_module.memory.evaluation.generated.lives import Telling, life
from rlm_module.memory.evaluation.generated.personas import persona
from rlm_module.memory.evaluation.generated.questions import Operation, answer, asked

GENERATOR_VERSION = 1
"""Counted up with every change by which the same seed gives another set, so that results of the two stay apart."""

LEAST_SESSIONS, MOST_SESSIONS = 25, 500
_UNANSWERABLE = "The user never said."
_FIRST_DAY = dt.datetime(2023, 11, 1, 9, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A planted sentence about the user's own life, as one who understands it reads it.

    Args:
        text: The sentence, as it stands in its turn.
        topic: The topic's name.
        session: The number of its session, from 0.
        turn: The number of its turn in the session, from 0.
        value: What it says.
        amount: In euros.
        happened_on: The day of what it tells of.
        is_evidence: Whether the answer follows from it.
    """

    text: str
    topic: str
    session: int
    turn: int
    value: str | None
    amount: int | None
    happened_on: dt.date | None
    is_evidence: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedQuestion:
    """A question with its history, and its meaning, which no arm is told.

    Args:
        record: What a file in LongMemEval's form holds.
        operation: What is to be done with what was said.
        topics: Names of the topics it asks about, in its order.
        statements: All that is said of the user's life, in order of sessions.
    """

    record: dict[str, Any]
    operation: Operation
    topics: tuple[str, ...]
    statements: tuple[Statement, ...]


def generate(*, seed: int = 0, questions: int = 100, sessions: int = 50) -> Iterator[GeneratedQuestion]:
    """Makes up questions, each with a history of its own; the same for the same arguments.

    The six types and abstention take turns.

    Args:
        seed: Chooses one of many such sets.
        questions: How many.
        sessions: Sessions of each history, 25 to 500.

    Raises:
        InputError: A number is out of range.
    """
    if not LEAST_SESSIONS <= sessions <= MOST_SESSIONS:
        raise InputError(f"A history cannot have {sessions} sessions; ask for {LEAST_SESSIONS} to {MOST_SESSIONS}.")
    if questions < 1:
        raise InputError(f"There cannot be {questions} questions; ask for one or more.")
    return (_numbered(seed, number, sessions) for number in range(questions))


def write_generated(path: Path, questions: Iterable[GeneratedQuestion]) -> int:
    """Writes questions as a file in LongMemEval's form, one at a time.

    Returns:
        How many they were.
    """
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, question in enumerate(questions, 1):
            file.write("[\n" if count == 1 else ",\n")
            file.write(json.dumps(question.record, ensure_ascii=False))
        file.write("\n]\n" if count else "[]\n")
    return count


def _numbered(seed: int, number: int, sessions: int) -> GeneratedQuestion:
    """A question of the set: abstention is every seventh, and takes the types in turn itself."""
    round_number, place = divmod(number, len(QUESTION_TYPES) + 1)
    is_silent = place == len(QUESTION_TYPES)
    kind = QUESTION_TYPES[round_number % len(QUESTION_TYPES) if is_silent else place]
    identity = f"gen_{seed}_{number:04d}{'_abs' if is_silent else ''}"
    return _question(identity, kind, is_silent, sessions, Random(f"{seed}/{number}"))


def _question(identity: str, kind: QuestionType, is_silent: bool, sessions: int, random: Random) -> GeneratedQuestion:
    asked_at = _FIRST_DAY + dt.timedelta(days=random.randint(0, 300), minutes=random.randint(0, 600))
    question = asked(kind, random)
    user = persona(random)
    later = 0 if is_silent else sum(said.is_later for said in question.said)
    times = session_times(sessions, asked_at, random, later)
    told = life(question, user, times, is_silent, random)
    plantings = [telling.planting(times, random) for telling in told.tellings]
    made = haystack(user, times, [*plantings, *told.decoys], random)
    statements = [
        _statement(telling, planting.sentence, turn, times)
        for telling, planting, turn in zip(told.tellings, plantings, made.places, strict=False)
        if not telling.relative
    ]
    days = [telling.day(times) for telling in told.tellings if telling.is_evidence]
    return GeneratedQuestion(
        record={
            "question_id": identity,
            "question_type": kind,
            "question": question.text,
            "answer": _UNANSWERABLE if is_silent else answer(question, days, asked_at.date()),
            "question_date": asked_at.strftime(DATE_FORMAT),
            **_published(made, {statement.session for statement in statements if statement.is_evidence}),
        },
        operation=question.operation,
        topics=tuple(topic.name for topic in question.topics),
        statements=tuple(sorted(statements, key=lambda statement: (statement.session, statement.turn))),
    )


def _statement(telling: Telling, text: str, turn: int, times: tuple[dt.datetime, ...]) -> Statement:
    return Statement(
        text=text,
        topic=telling.said.topic.name,
        session=telling.session,
        turn=turn,
        value=telling.said.value,
        amount=telling.said.amount,
        happened_on=telling.day(times),
        is_evidence=telling.is_evidence,
    )


def _published(made: Haystack, evidence: set[int]) -> dict[str, Any]:
    return {
        "haystack_session_ids": list(made.ids),
        "haystack_dates": [time.strftime(DATE_FORMAT) for time in made.times],
        "haystack_sessions": list(made.sessions),
        "answer_session_ids": [made.ids[number] for number in sorted(evidence)],
    }
