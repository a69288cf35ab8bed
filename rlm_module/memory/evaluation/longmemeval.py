"""LongMemEval's published files, read as cases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from rlm_module.errors import InputError
from rlm_module.memory.data import Session, Turn
from rlm_module.memory.evaluation.cases import DATE_FORMAT, Case, Key, QuestionType
from rlm_module.memory.evaluation.jsonstream import json_objects

_ABSTENTION = "_abs"


class _PublishedTurn(BaseModel):
    role: str
    content: str
    has_answer: bool | None = None


class _Published(BaseModel):
    """A question as the file has it; further fields are left alone."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    question_id: str = Field(min_length=1)
    question_type: QuestionType
    question: str = Field(min_length=1)
    answer: str
    question_date: str
    haystack_session_ids: list[str]
    haystack_dates: list[str]
    haystack_sessions: list[list[_PublishedTurn]]
    answer_session_ids: list[str]

    @pydantic.model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        lengths = {len(self.haystack_session_ids), len(self.haystack_dates), len(self.haystack_sessions)}
        if len(lengths) > 1:
            raise ValueError("haystack_session_ids, haystack_dates and haystack_sessions differ in length")
        return self


def read_longmemeval(path: Path) -> Iterator[Case]:
    """The cases of a file, one at a time and in its order.

    Args:
        path: `longmemeval_s.json`, `longmemeval_m.json`, `longmemeval_oracle.json`, or another in their form.

    Raises:
        InputError: If the file or one of its questions cannot be read, in one sentence.
    """
    seen: set[str] = set()
    for number, record in enumerate(json_objects(path), 1):
        case = case_of(record, f"{path}: question {number:,}")
        if case.id in seen:
            raise InputError(f"{path}: question {number:,} has the id {case.id!r} again; give each its own.")
        seen.add(case.id)
        yield case


def case_of(record: Mapping[str, Any], name: str = "The question") -> Case:
    """A case from a published record.

    Args:
        record: The record.
        name: What an error calls it.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        published = _Published.model_validate(record)
        sessions = _sessions(published)
        as_of = _moment(published.question_date)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{name} cannot be read ({f'{place}: ' if place else ''}{first['msg']}); mend it.") from None
    except ValueError as error:
        raise InputError(f"{name} cannot be read ({error}); mend it.") from None
    return Case(
        id=published.question_id, question=published.question, as_of=as_of, sessions=sessions, key=_key(published)
    )


def _sessions(published: _Published) -> tuple[Session, ...]:
    """The sessions, named by their positions; repeated ones stay apart, and empty ones are left out."""
    times = [_moment(date) for date in published.haystack_dates]
    return tuple(
        Session(
            id=_name(number),
            started_at=time,
            turns=tuple(Turn.model_validate({"role": turn.role, "text": turn.content, "ts": time}) for turn in turns),
        )
        for number, (time, turns) in enumerate(zip(times, published.haystack_sessions, strict=True))
        if turns
    )


def _key(published: _Published) -> Key:
    holding = set(published.answer_session_ids)
    return Key(
        question_type=published.question_type,
        answer=published.answer,
        is_abstention=published.question_id.endswith(_ABSTENTION),
        sessions=frozenset(
            _name(number) for number, name in enumerate(published.haystack_session_ids) if name in holding
        ),
        turns=frozenset(
            (_name(number), position)
            for number, turns in enumerate(published.haystack_sessions)
            for position, turn in enumerate(turns)
            if turn.has_answer
        ),
    )


def _name(number: int) -> str:
    return f"{number:04d}"


def _moment(text: str) -> dt.datetime:
    """A time as published, such as `2023/05/20 (Sat) 02:21`; it names no zone, and is read in UTC."""
    try:
        return dt.datetime.strptime(text, DATE_FORMAT).replace(tzinfo=dt.UTC)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no time like '2023/05/20 (Sat) 02:21'") from None
