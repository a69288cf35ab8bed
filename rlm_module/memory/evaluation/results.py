"""What an evaluation leaves on disk: a line for each answer and each verdict, which a later run takes up."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, JsonValue

from rlm_module.errors import InputError

_NOTE = pydantic.TypeAdapter(dict[str, str])

SILENCE = "I don't know: the history does not answer this."
"""What the hypothesis file says where an arm gave no answer."""


class Answer(BaseModel):
    """What an arm answered to a question, and what that took.

    Args:
        question_id: The question.
        answer: The answer, if there is one.
        abstained: Whether the arm says that there is none.
        reason: Why, as the arm calls it.
        evidence: The turns it cites, as session id and position from 0, as far as the history has them.
        unknown_evidence: How many it cites that the history does not have.
        seconds: From the question to the answer.
        ingest_seconds: Spent on taking in the history.
        cost_usd: US dollars for the answer, if known.
        ingest_cost_usd: US dollars for taking in the history, if known.
        raw: All that the arm returned.
    """

    model_config = ConfigDict(frozen=True)

    question_id: str
    answer: str | None
    abstained: bool
    reason: str | None = None
    evidence: tuple[tuple[str, int], ...] = ()
    unknown_evidence: int = 0
    seconds: float = 0.0
    ingest_seconds: float = 0.0
    cost_usd: float | None = None
    ingest_cost_usd: float | None = None
    raw: JsonValue = None

    @property
    def mark(self) -> str:
        """Tells it from another answer to the same question."""
        return hashlib.sha256(json.dumps([self.abstained, self.answer]).encode()).hexdigest()[:16]


class Verdict(BaseModel):
    """Whether an answer is right.

    Args:
        question_id: The question.
        is_right: Whether.
        answer: The mark of the answer; empty where it is whichever there is.
        cost_usd: US dollars for judging it, if known.
    """

    model_config = ConfigDict(frozen=True)

    question_id: str
    is_right: bool
    answer: str = ""
    cost_usd: float | None = None


LineT = TypeVar("LineT", Answer, Verdict)


class _Lines(Generic[LineT]):
    """A file of JSON lines that only grows."""

    def __init__(self, path: Path, kind: type[LineT]) -> None:
        self._path, self._kind = path, kind
        self._lock = threading.Lock()
        self.found: dict[str, LineT] = {line.question_id: line for line in self._read()}

    def add(self, line: LineT) -> None:
        """Writes a line so that it survives what may happen to this process."""
        with self._lock, self._path.open("ab") as file:
            file.write(line.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self.found[line.question_id] = line

    def _read(self) -> list[LineT]:
        data = self._path.read_bytes() if self._path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):  # a process died while it wrote
            os.truncate(self._path, len(whole))
        try:
            return [self._kind.model_validate_json(line) for line in whole.splitlines()]
        except pydantic.ValidationError as error:
            raise InputError(f"{self._path} holds a line that is no result; name another folder.") from error


class ArmResults:
    """The answers and verdicts of one arm.

    Args:
        folder: The evaluation's folder.
        arm: The arm's name.
    """

    def __init__(self, folder: Path, arm: str) -> None:
        self._answers = _Lines(folder / f"{arm}.answers.jsonl", Answer)
        self._verdicts = _Lines(folder / f"{arm}.verdicts.jsonl", Verdict)
        self.hypotheses = folder / f"{arm}.hypotheses.jsonl"
        for name, answer in self.answers.items():
            if name in self.verdicts and self.verdicts[name].answer not in ("", answer.mark):
                self._verdicts.found.pop(name)  # of an earlier answer

    @property
    def answers(self) -> Mapping[str, Answer]:
        return self._answers.found

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        return self._verdicts.found

    def answer(self, answer: Answer) -> None:
        """Keeps an answer; a verdict on an earlier one no longer counts."""
        self._verdicts.found.pop(answer.question_id, None)
        self._answers.add(answer)

    def judge(self, verdict: Verdict) -> None:
        self._verdicts.add(verdict)

    def write_hypotheses(self) -> None:
        """Writes the answers as the benchmark's own evaluator reads them."""
        lines = [
            json.dumps({"question_id": name, "hypothesis": answer.answer or SILENCE}, ensure_ascii=False)
            for name, answer in self.answers.items()
        ]
        _write_whole(self.hypotheses, "".join(f"{line}\n" for line in lines))


class ResultsFolder:
    """A folder of one evaluation.

    Args:
        path: Made if it is not there.
        about: What the results depend on, such as the data and the models; a folder of another evaluation is refused.

    Raises:
        InputError: If the folder holds results of another evaluation, or cannot be used.
    """

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        self.path = path
        note = path / "about.json"
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not note.exists():
                _write_whole(note, json.dumps(dict(about), indent=2) + "\n")
            earlier = _NOTE.validate_json(note.read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be used for results ({_fault(error)}); name another folder.") from error
        if earlier != dict(about):
            other = ", ".join(f"{name} {earlier.get(name)}" for name in about if earlier.get(name) != about[name])
            raise InputError(f"{path} holds results of another evaluation ({other}); name another folder.")

    def arm(self, name: str) -> ArmResults:
        """The results of one arm so far."""
        return ArmResults(self.path, name)


def _write_whole(path: Path, text: str) -> None:
    """Puts a file in its place when it is complete, whatever ends the process before."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _fault(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    return "its about.json is none of ours"
