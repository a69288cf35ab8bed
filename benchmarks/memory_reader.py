"""A simulated reader: it understands every sentence of a generated history that it is handed, and knows no other.

It stands for a language model's reading alone. What it is not handed it cannot know, and where it errs it does so at a
set rate, the same way each time.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from rlm_module.memory.evaluation import GeneratedQuestion, Statement

_TURN_ID = re.compile(r"\b[a-z2-7]{8,}\.\d+\b")
_ROLE = re.compile(r'"role": "(\w+)"')
_DATE_FORMAT = "%Y/%m/%d (%a) %H:%M"


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence that bears on the question, as it was understood.

    Args:
        statement: What it says.
        turn: The id of its turn, as the text before it has it; empty where it has none.
        part: Which of the things asked about it is, from 1.
    """

    statement: Statement
    turn: str
    part: int

    def as_json(self) -> dict[str, Any]:
        """It as the simulated root reads it."""
        happened = self.statement.happened_on
        return {
            "value": self.statement.value,
            "amount": self.statement.amount,
            "on": happened.isoformat() if happened else None,
            "part": self.part,
            "turn": self.turn,
            "quote": self.statement.text,
        }


class SimulatedReader:
    """Reads for one question.

    Args:
        question: The question, with the meaning of all that is said in its history.
        error_rate: Share of the sentences on the matter that it overlooks or misreads, from 0 to 1.
    """

    def __init__(self, question: GeneratedQuestion, error_rate: float = 0.0) -> None:
        self._question = question
        self._rate = error_rate
        self.asked_on = dt.datetime.strptime(question.record["question_date"], _DATE_FORMAT).date()

    @property
    def question(self) -> str:
        """The question's words."""
        return self._question.record["question"]

    def read(self, text: str, occasion: str = "") -> list[Reading]:
        """The sentences in a text that bear on the question, in order of time.

        Args:
            text: Any text, in which ids of turns stand before what was said.
            occasion: What it is read for; on another occasion it errs elsewhere.
        """
        found: list[Reading] = []
        for statement in self._question.statements:
            at = text.find(statement.text)
            if at < 0 or statement.topic not in self._question.topics:
                continue
            understood = self._understood(statement, occasion)
            if understood is not None:
                ids = _TURN_ID.findall(text, max(0, at - 2_000), at)
                part = self._question.topics.index(statement.topic) + 1
                found.append(Reading(understood, ids[-1] if ids else "", part))
        return found

    def observed(self, text: str) -> list[tuple[Statement, str, str]]:
        """All sentences on the user's life in a text, whatever is asked later, with their turns' ids and roles."""
        found: list[tuple[Statement, str, str]] = []
        for statement in self._question.statements:
            at = text.find(statement.text)
            ids = _TURN_ID.findall(text, max(0, at - 2_000), at) if at >= 0 else []
            if ids and self._understood(statement, "observed") is not None:
                roles = _ROLE.findall(text, max(0, at - 2_000), at)
                found.append((statement, ids[-1], roles[-1] if roles else "user"))
        return found

    def conclude(self, readings: Sequence[Reading]) -> str | None:
        """The answer that follows from what was read; None where none does."""
        said = [reading.statement for reading in readings]
        days = {reading.part: reading.statement.happened_on for reading in readings}
        first, second = days.get(1), days.get(2)
        match self._question.operation:
            case "value" | "newest":
                return said[-1].value if said else None
            case "previous":
                return said[-2].value if len(said) > 1 else None
            case "count":
                return str(len({statement.value for statement in said})) if said else None
            case "sum":
                return str(sum(statement.amount or 0 for statement in said)) if said else None
            case "days_since":
                return f"{(self.asked_on - first).days} days" if first else None
            case "days_between":
                return f"{abs((first - second).days)} days" if first and second else None
            case "first":
                return ("a" if first < second else "b") if first and second else None

    def check(self, answer: str, turns: str, later: str) -> dict[str, Any]:
        """Whether an answer follows from turns, as `CheckAnswer` wants it said."""
        readings = self.read(f"{turns}\n{later}", "check")
        right = self.conclude(readings)
        kinds = {"count": "count", "sum": "sum", "days_since": "duration", "days_between": "duration"}
        is_count = self._question.operation == "count"
        items = {
            reading.statement.value: {
                "what": reading.statement.value,
                "turn": reading.turn,
                "amount": 1 if is_count else reading.statement.amount,
            }
            for reading in readings
        }
        days = [reading.statement.happened_on for reading in readings]
        if self._question.operation == "days_since":
            days.append(self.asked_on)
        kind = kinds.get(self._question.operation, "statement")
        return {
            "kind": kind,
            "follows": right is not None and right.casefold() == answer.casefold(),
            "counted": json.dumps(list(items.values()) if kind in ("count", "sum") else []),
            "dates": json.dumps([str(day) for day in days if day] if kind == "duration" else []),
        }

    def _understood(self, statement: Statement, occasion: str) -> Statement | None:
        """The sentence as it is read on an occasion: rightly, wrongly, or not at all."""
        random = Random(f"{self._question.record['question_id']}/{statement.text}/{occasion}")
        if random.random() >= self._rate:
            return statement
        if random.random() < 0.5:
            return None
        return replace(
            statement,
            value=None if statement.value is None else "something else",
            amount=None if statement.amount is None else statement.amount + 1,
            happened_on=None if statement.happened_on is None else statement.happened_on + dt.timedelta(days=1),
        )
