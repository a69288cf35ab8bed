"""LongMemEval's published files, read as cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlm_module.errors import InputError
from rlm_module.memory.evaluation.cases import QUESTION_TYPES, Case, Key, QuestionType
from rlm_module.memory.importing import Record, read_longmemeval, record_of

_TYPES: Mapping[str, QuestionType] = {kind: kind for kind in QUESTION_TYPES}


def read_cases(path: Path) -> Iterator[Case]:
    """The cases of a file, one at a time and in its order.

    Args:
        path: `longmemeval_s.json`, `longmemeval_m.json`, `longmemeval_oracle.json`, or another in their form.

    Raises:
        InputError: If the file or one of its questions cannot be read, in one sentence.
    """
    seen: set[str] = set()
    for record in read_longmemeval(path):
        case = _case(record, str(path))
        if case.id in seen:
            raise InputError(f"{path} has two questions with the id {case.id!r}; give each its own.")
        seen.add(case.id)
        yield case


def case_of(item: Mapping[str, Any]) -> Case:
    """A case from a question in the published form.

    Args:
        item: The question.

    Raises:
        InputError: If it cannot be read.
    """
    return _case(record_of(item, "the question"), "the question")


def _case(record: Record, source: str) -> Case:
    question = record.question
    kind = _TYPES.get(question.type)
    if kind is None:
        names = ", ".join(QUESTION_TYPES)
        raise InputError(f"{source}: {question.id!r} has the type {question.type[:40]!r}, which is none of {names}.")
    return Case(
        id=question.id,
        question=question.text,
        as_of=question.asked_at,
        sessions=record.sessions,
        key=Key(
            question_type=kind,
            answer=question.answer,
            is_abstention=question.abstention,
            sessions=frozenset(question.evidence),
            turns=frozenset(question.evidence_turns),
        ),
    )
