"""A simulated LM for every call that an arm makes: it is asked as a real one is, and answers by its root and reader."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable

import dspy
from dspy.lm15 import Request, Response, Usage

from benchmarks.memory_reader import SimulatedReader
from benchmarks.memory_root import SESSIONS_READ, first_cell, gives_up, last_cell, question_in
from benchmarks.scripted import AnsweringEngine, engine_lm
from tests.scripted import fields, response, texts, turn

_CHARS_PER_TOKEN = 4
_FIELD = re.compile(
    r"\[\[ ## (\w+) ## \]\]\n(.*?)(?=\n\n\[\[ ## \w+ ## \]\]|\n\nRespond with the corresponding|\Z)", re.DOTALL
)
_SESSION = re.compile(r'"id": "(\w+)\.\d+"')


class SimulatedModel:
    """Answers for one question. It reads at most eight sessions one by one, and says so of any more.

    Args:
        reader: Understands what is handed over.
    """

    def __init__(self, reader: SimulatedReader) -> None:
        self._reader = reader
        self._sessions: set[str] = set()
        self._lock = threading.Lock()

    @property
    def sessions_read(self) -> int:
        """How many sessions were handed over to be read."""
        return len(self._sessions)

    def reply(self, messages: list[tuple[str, str]]) -> str:
        """The reply to a request.

        Args:
            messages: Role and text of each.

        Raises:
            ValueError: It is of no kind that is known here.
        """
        said = [text for role, text in messages if role == "user"]
        asked = dict(_FIELD.findall(said[-1]))
        if "request" in asked:
            return turn(self._turn(messages[0][1], said))
        if "session" in asked and "log" in asked:
            return fields(observations=self._observed(asked["session"]))
        if "session" in asked:
            return self._read(asked["session"], asked["question"])
        if "later" in asked:
            return fields(**self._reader.check(asked["answer"], asked["turns"], asked["later"]))
        if "turns" in asked:
            return self._answer(asked["turns"])
        raise ValueError(f"no reply is known to {said[-1][:300]!r}")

    def _turn(self, system: str, said: list[str]) -> str:
        question, has_history = question_in(said[0]), "- `history` " in said[0]
        if len(said) == 1:
            return first_cell(question, system, has_history=has_history)
        if "Traceback (most recent call last)" in said[-1]:
            return gives_up()
        if "map_sessions(" in system and "observations(" not in system:
            return last_cell(question, None)
        return last_cell(question, self._reader.read(said[-1], "root"), quotes=has_history)

    def _read(self, session: str, asked: str) -> str:
        names = set(_SESSION.findall(session))
        with self._lock:
            if len(self._sessions | names) > SESSIONS_READ:
                return fields(answer="None", turns="[]")
            self._sessions |= names
        if self._reader.question not in asked:
            return fields(answer="None", turns="[]")
        readings = self._reader.read(session, asked)
        lines = "\n".join(json.dumps(reading.as_json()) for reading in readings)
        return fields(answer=lines or "None", turns=json.dumps([reading.turn for reading in readings]))

    def _answer(self, turns: str) -> str:
        readings = self._reader.read(turns, "answer")
        answer = self._reader.conclude(readings)
        evidence = [reading.turn for reading in readings] if answer else []
        return fields(answer=answer or "None", evidence=json.dumps(evidence))

    def _observed(self, session: str) -> str:
        return json.dumps(
            [
                {
                    "kind": "assistant_output" if role == "assistant" else "fact",
                    "subject": statement.topic,
                    "value": statement.text,
                    "turns": [turn],
                }
                for statement, turn, role in self._reader.observed(session)
            ]
        )


def simulated_lm(reply: Callable[[list[tuple[str, str]]], str]) -> dspy.LM:
    """An LM whose replies a function gives, from the messages of a request."""

    def answer(request: Request) -> Response:
        messages = texts(request)
        text = reply(messages)
        read = sum(len(said) for _, said in messages)
        usage = Usage(input_tokens=read // _CHARS_PER_TOKEN, output_tokens=len(text) // _CHARS_PER_TOKEN)
        return response(text, usage=usage)

    return engine_lm(AnsweringEngine(answer))
