"""Asking arms the questions of an evaluation, each once, however often it is started."""

from __future__ import annotations

import contextvars
import datetime as dt
import json
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

from pydantic_core import to_jsonable_python

from rlm_module import Budget, spending
from rlm_module.errors import FatalError, SandboxError
from rlm_module.memory.data import Session
from rlm_module.memory.evaluation.cases import Case
from rlm_module.memory.evaluation.judging import Judge
from rlm_module.memory.evaluation.results import Answer, ArmResults, Verdict

_FAILURES_IN_A_ROW = 5
_log = logging.getLogger(__name__)


class Arm(Protocol):
    """A way of answering questions about a history, with a memory of its own."""

    def ingest(self, sessions: Sequence[Session]) -> Any:
        """Takes in a history; what it returns may tell, as `Ingested` does, what was `observed` and its `usage`."""
        ...

    def session_id(self, caller_id: str) -> str | None:
        """What the arm calls a session that it was given under another id."""
        ...

    def __call__(self, *, question: str, as_of: dt.datetime) -> Any:
        """Answers: a prediction with `answer`, `evidence`, `abstained` and `reason`, and `cost_usd` where it is known.

        Evidence is turn ids: a session's id, a point, and the turn's position.
        """
        ...


MakeArm: TypeAlias = "Callable[[], AbstractContextManager[Arm]]"
"""Makes an arm with an empty memory, which is gone when the context is left."""


def ask(case: Case, make_arm: MakeArm, *, evidence_only: bool = False) -> Answer:
    """Puts one question to a new arm, which is told its history, its words and its date, and nothing else.

    Args:
        case: The case.
        make_arm: Makes the arm.
        evidence_only: Whether the history it gets is the sessions that hold the answer.
    """
    sessions = case.evidence_sessions if evidence_only else case.sessions
    with make_arm() as arm:
        began = time.perf_counter()
        taken_in = arm.ingest(sessions)
        ingested = time.perf_counter()
        prediction = arm(question=case.question, as_of=case.as_of)
        seconds = time.perf_counter() - ingested
        names = {arm.session_id(session.id): session for session in sessions}
    cited = [_place(turn_id, names) for turn_id in prediction.evidence or ()]
    return Answer(
        question_id=case.id,
        answer=None if prediction.answer is None else str(_jsonable(prediction.answer)),
        abstained=bool(prediction.abstained),
        reason=prediction.reason,
        evidence=tuple(dict.fromkeys(place for place in cited if place)),
        unknown_evidence=cited.count(None),
        seconds=seconds,
        ingest_seconds=ingested - began,
        cost_usd=getattr(prediction, "cost_usd", None),
        ingest_cost_usd=_ingest_cost(taken_in),
        raw=_jsonable(dict(prediction.items())),
    )


def run(
    cases: Iterable[Case],
    make_arm: MakeArm,
    results: ArmResults,
    judge: Judge,
    *,
    evidence_only: bool = False,
    threads: int = 1,
    on_done: Callable[[Case, bool], None] | None = None,
) -> int:
    """Asks every question that has no answer yet, has every answer judged that was not, and writes the hypothesis file.

    A question that fails is told of in the log and left for the next time.

    Args:
        cases: The questions.
        make_arm: Makes an arm, for each question anew.
        results: What there is so far, and what is added to.
        judge: Says which answers are right.
        evidence_only: Whether the arm gets only the sessions that hold the answer.
        threads: Questions at once.
        on_done: Called with each case and whether its answer is right, on any thread.

    Returns:
        How many questions failed.

    Raises:
        FatalError: If several in a row failed: then all would.
        SandboxError: If there is no sandbox to be had.
    """

    def settle(case: Case) -> None:
        answer = results.answers.get(case.id)
        if answer is None:
            answer = ask(case, make_arm, evidence_only=evidence_only)
            results.answer(answer)
        if case.id not in results.verdicts:
            results.judge(verdict_on(case, answer, judge))
        if on_done:
            on_done(case, results.verdicts[case.id].is_right)

    try:
        return _in_turn(cases, settle) if threads == 1 else _at_once(cases, settle, threads)
    finally:
        results.write_hypotheses()


def _in_turn(cases: Iterable[Case], settle: Callable[[Case], None]) -> int:
    """One question after another, on this thread, where Ctrl-C stops it at once."""
    failures = _Failures()
    for case in cases:
        try:
            settle(case)
        except Exception as error:
            failures.note(case.id, error)
        else:
            failures.note(case.id, None)
    return failures.count


def _at_once(cases: Iterable[Case], settle: Callable[[Case], None], threads: int) -> int:
    """Several questions at once, and no more of them in memory; Ctrl-C lets those finish that were begun."""
    failures = _Failures()
    under_way: dict[Future[None], str] = {}

    def note_done() -> None:
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            failures.note(under_way.pop(future), future.exception())

    with ThreadPoolExecutor(threads, thread_name_prefix="question") as pool:
        for case in cases:
            under_way[pool.submit(contextvars.copy_context().run, settle, case)] = case.id
            if len(under_way) >= threads:
                note_done()
        while under_way:
            note_done()
    return failures.count


def verdict_on(case: Case, answer: Answer, judge: Judge) -> Verdict:
    """The verdict on an answer, with what it cost."""
    with spending(Budget()) as spent:
        right = is_right(case, answer, judge)
    cost = spent.usage.total.cost_usd
    return Verdict(question_id=case.id, is_right=right, answer=answer.mark, cost_usd=cost)


def is_right(case: Case, answer: Answer, judge: Judge) -> bool:
    """Whether an answer is right; to abstain is, where the history does not answer."""
    if answer.abstained or answer.answer is None:
        return case.key.is_abstention
    return judge.is_right(case.question, answer.answer, case.key)


class _Failures:
    """Questions that failed, and how many of the last ones did."""

    def __init__(self) -> None:
        self.count = 0
        self._in_a_row = 0

    def note(self, name: str, error: BaseException | None) -> None:
        """Counts how a question ended.

        Raises:
            FatalError: If too many in a row failed.
        """
        if error is None:
            self._in_a_row = 0
            return
        if not isinstance(error, Exception) or isinstance(error, SandboxError):  # nothing mends it for the next one
            raise error
        self.count += 1
        self._in_a_row += 1
        _log.warning("question %s failed: %s: %s", name, type(error).__name__, error)
        if self._in_a_row >= _FAILURES_IN_A_ROW:
            text = f"{self._in_a_row} questions in a row failed, the last with {type(error).__name__}: {error}"
            raise FatalError(text) from error


def _ingest_cost(taken_in: Any) -> float | None:
    """What an observer spent on a history; nothing where there was none."""
    observed = getattr(taken_in, "observed", None)
    return 0.0 if observed is None else observed.usage.cost_usd


def _jsonable(value: Any) -> Any:
    """A value as JSON can hold it: what it cannot becomes text, and half characters question marks."""
    plain = to_jsonable_python(value, fallback=str, serialize_unknown=True)
    return json.loads(json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace"), parse_constant=str)


def _place(turn_id: str, names: dict[str | None, Session]) -> tuple[str, int] | None:
    """A cited turn as the caller's session id and a position; None where the history has no such turn."""
    name, _, position = str(turn_id).rpartition(".")
    session = names.get(name)
    if session is None or not position.isdecimal() or int(position) >= len(session.turns):
        return None
    return session.id, int(position)
