"""LongMemEval's JSON: each item a question, with the sessions that are its user's memory.

What the evaluation knows, the answer and where it stands, is kept apart from what goes into a store. That includes the
ids: those of the sessions that hold the answer say so, and those of questions that have none do, too.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from rlm_module.errors import InputError
from rlm_module.memory.data import Session
from rlm_module.memory.importing.collecting import Collection, Said, time_of, whole
from rlm_module.memory.importing.json_files import items, listed, mapping
from rlm_module.memory.times import settled

_FIELDS = ("question_id", "question", "question_date", "haystack_dates", "haystack_sessions")


@dataclass(frozen=True, slots=True)
class Question:
    """What the evaluation knows; none of it may reach a store or a model before it has answered, but text and time.

    Args:
        id: The published id.
        type: The published type.
        text: The question.
        answer: What is expected.
        asked_at: When it is asked.
        evidence: The caller's ids of the sessions that hold the answer.
        evidence_turns: The turns marked as holding it: the caller's id of the session, and the position.
        abstention: Whether there is no answer, and saying so is right.
    """

    id: str
    type: str
    text: str
    answer: str
    asked_at: dt.datetime
    evidence: tuple[str, ...]
    evidence_turns: tuple[tuple[str, int], ...]
    abstention: bool


@dataclass(frozen=True, slots=True)
class Record:
    """One item of the file.

    Args:
        user: A name for whose memory it is, which tells nothing of the question.
        sessions: What goes into the store; the caller's ids are their positions, so that a repeated one is kept.
        question: What the evaluation knows.
        notes: What was odd about it.
    """

    user: str
    sessions: tuple[Session, ...]
    question: Question
    notes: tuple[str, ...]


def read_longmemeval(path: str | PathLike[str], *, zone: dt.tzinfo = dt.UTC) -> Iterator[Record]:
    """Reads a file, an item at a time: the larger ones exceed memory.

    Args:
        path: The file.
        zone: Where its times are read, which name no zone.

    Raises:
        InputError: If the file is truncated, which is seen first, or an item is no question.
    """
    for number, item in enumerate(items(path)):
        yield record_of(mapping(item, f"Item {number} of {path}"), f"item {number} of {path}", zone)


def record_of(item: Mapping[str, Any], what: str, zone: dt.tzinfo = dt.UTC) -> Record:
    """One item of such a file.

    Args:
        item: The item.
        what: What it is, for an error.
        zone: Where its times are read, which name no zone.

    Raises:
        InputError: If it is no question.
    """
    missing = [field for field in _FIELDS if field not in item]
    if missing:
        raise InputError(f"{what[:1].upper()}{what[1:]} lacks {', '.join(missing)}; is the file of another kind?")
    sessions = listed(item["haystack_sessions"], f"`haystack_sessions` of {what}")
    dates = listed(item["haystack_dates"], f"`haystack_dates` of {what}")
    if len(dates) != len(sessions):
        raise InputError(f"{what[:1].upper()}{what[1:]} has {len(sessions)} sessions and {len(dates)} dates; mend it.")
    collection = Collection(what, zone)
    marked: list[tuple[str, int]] = []
    for position, (date, session) in enumerate(zip(dates, sessions, strict=True)):
        name = f"{position:05d}"
        turns = [mapping(turn, f"A turn of {what}") for turn in listed(session, f"A session of {what}")]
        said = [
            Said(turn.get("role"), collection.text_of(turn, f"Turn {place} of session {position}", ("content",)))
            for place, turn in enumerate(turns)
        ]
        collection.add(name, date, said)
        marked += [(name, place) for place, turn in enumerate(turns) if turn.get("has_answer")]
    read, question = collection.read(), _question(item, tuple(marked), what, zone)
    return Record(_user(question), read.sessions, question, read.notes)


def _question(item: Mapping[str, Any], marked: tuple[tuple[str, int], ...], what: str, zone: dt.tzinfo) -> Question:
    ids = _names(item.get("haystack_session_ids"), f"`haystack_session_ids` of {what}")
    wanted = set(_names(item.get("answer_session_ids"), f"`answer_session_ids` of {what}"))
    try:
        asked_at = settled(time_of(item["question_date"]), zone)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(f"`question_date` of {what} is no time ({error}); mend it.") from error
    return Question(
        id=_word(item, "question_id", what),
        type=str(item.get("question_type", "")),
        text=_word(item, "question", what),
        answer=str(item.get("answer", "")),
        asked_at=asked_at,
        evidence=tuple(f"{position:05d}" for position, name in enumerate(ids) if name in wanted),
        evidence_turns=marked,
        abstention=_word(item, "question_id", what).endswith("_abs"),
    )


def _word(item: Mapping[str, Any], field: str, what: str) -> str:
    value = item[field]
    text = str(value) if isinstance(value, (str, int)) else ""
    if not text.strip() or whole(text) != text:
        raise InputError(f"`{field}` of {what} is {ascii(value)[:40]}, which is no text; mend it.")
    return text


def _names(value: Any, what: str) -> list[str]:
    """Ids, of which there may be none."""
    names = [] if value is None else listed(value, what)
    if not all(isinstance(name, (str, int)) for name in names):
        raise InputError(f"{what[:1].upper()}{what[1:]} holds what is no id; mend it.")
    return [str(name) for name in names]


def _user(question: Question) -> str:
    return f"user-{hashlib.blake2b(question.id.encode(), digest_size=8).hexdigest()}"
