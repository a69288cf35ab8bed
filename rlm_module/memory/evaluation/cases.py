"""A question with the history it is asked of, kept apart from what only the scoring may know."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from rlm_module.memory.data import Session

QuestionType: TypeAlias = Literal[
    "single-session-user",
    "single-session-assistant",
    "single-session-preference",
    "multi-session",
    "temporal-reasoning",
    "knowledge-update",
]
QUESTION_TYPES: tuple[QuestionType, ...] = get_args(QuestionType)

DATE_FORMAT = "%Y/%m/%d (%a) %H:%M"
"""How LongMemEval writes a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What the scoring knows and no arm may be told.

    Args:
        question_type: The benchmark's name for the kind of question.
        answer: The right answer, or why there is none.
        is_abstention: Whether the history does not answer the question.
        sessions: Ids of the sessions that hold the answer.
        turns: The turns that do, as session id and position from 0; empty where the file marks none.
    """

    question_type: QuestionType
    answer: str
    is_abstention: bool
    sessions: frozenset[str]
    turns: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question of an evaluation.

    Args:
        id: The published id, by which results are filed; it tells of abstention, so no arm is told it.
        question: The question.
        as_of: When it is asked.
        sessions: The history; ids are positions, since published ids tell which sessions hold the answer.
        key: What only the scoring may know.
    """

    id: str
    question: str
    as_of: dt.datetime
    sessions: tuple[Session, ...]
    key: Key

    @property
    def evidence_sessions(self) -> tuple[Session, ...]:
        """The sessions that hold the answer, for an arm that is handed them."""
        return tuple(session for session in self.sessions if session.id in self.key.sessions)
