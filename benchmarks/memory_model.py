"""A simulated LM for every call that an arm makes: it is asked as a real one is, and answers by its root and reader."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, TextPart, Usage, response_to_events

from benchmarks.memory_reader import SimulatedReader
from benchmarks.memory_root import SESSIONS_READ, first_cell, gives_up, last_cell, question_in
from benchmarks.scripted import cell

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
        fields = dict(_FIELD.findall(said[-1]))
        if "request" in fields:
            return cell(self._turn(messages[0][1], said))
        if "session" in fields and "log" in fields:
            return _fields(observations=self._observed(fields["session"]))
        if "session" in fields:
            return self._read(fields["session"], fields["question"])
        if "later" in fields:
            return _fields(**self._reader.check(fields["answer"], fields["turns"], fields["later"]))
        if "turns" in fields:
            return self._answer(fields["turns"])
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
                return _fields(answer="None", turns="[]")
            self._sessions |= names
        if self._reader.question not in asked:
            return _fields(answer="None", turns="[]")
        readings = self._reader.read(session, asked)
        lines = "\n".join(json.dumps(reading.as_json()) for reading in readings)
        return _fields(answer=lines or "None", turns=json.dumps([reading.turn for reading in readings]))

    def _answer(self, turns: str) -> str:
        readings = self._reader.read(turns, "answer")
        answer = self._reader.conclude(readings)
        evidence = [reading.turn for reading in readings] if answer else []
        return _fields(answer=answer or "None", evidence=json.dumps(evidence))

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


class _Engine:
    def __init__(self, reply: Callable[[list[tuple[str, str]]], str]) -> None:
        self._reply = reply

    def complete(self, request: Request) -> Response:
        messages = _messages(request)
        text = self._reply(messages)
        usage = Usage(
            input_tokens=sum(len(said) for _, said in messages) // _CHARS_PER_TOKEN,
            output_tokens=len(text) // _CHARS_PER_TOKEN,
        )
        return Response(
            id=None, model=request.model, message=Message.assistant(text), finish_reason="stop", usage=usage
        )

    def stream(self, request: Request) -> Iterator[Any]:
        yield from response_to_events(self.complete(request))

    def close(self) -> None: ...


class _AsyncEngine:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        return self._engine.complete(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        for event in self._engine.stream(request):
            yield event

    async def aclose(self) -> None: ...


def simulated_lm(reply: Callable[[list[tuple[str, str]]], str]) -> dspy.LM:
    """An LM whose replies a function gives, from the messages of a request."""
    engine = _Engine(reply)
    return dspy.LM("simulated/model", engine=engine, async_engine=_AsyncEngine(engine), cache=False, num_retries=0)


def _messages(request: Request) -> list[tuple[str, str]]:
    system = request.system or ""
    if not isinstance(system, str):
        system = "".join(getattr(part, "text", "") for part in system)
    return [("system", system), *((m.role, "".join(p.text for p in m.parts_of(TextPart))) for m in request.messages)]


def _fields(**values: object) -> str:
    """A reply as dspy's ChatAdapter reads it."""
    shown = [f"[[ ## {name} ## ]]\n{value}" for name, value in values.items()]
    return "\n\n".join([*shown, "[[ ## completed ## ]]"])
