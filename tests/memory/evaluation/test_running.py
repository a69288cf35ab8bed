"""Asking arms: what they are told, what is kept, and that no question is asked twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dspy
import pytest

from rlm_module.errors import FatalError, SandboxError
from rlm_module.memory.data import Session
from rlm_module.memory.evaluation.cases import Case, Key
from rlm_module.memory.evaluation.judging import ExactMatch, ModelJudge
from rlm_module.memory.evaluation.longmemeval import case_of
from rlm_module.memory.evaluation.results import ArmResults, ResultsFolder
from rlm_module.memory.evaluation.running import ask, run
from tests import model_server
from tests.memory.evaluation.records import record
from tests.model_server.engines import lm as model_lm
from tests.scripted import fields

Reply = Callable[[str], dspy.Prediction]


def answered(answer: str | None, *evidence: str, **more: Any) -> dspy.Prediction:
    return dspy.Prediction(answer=answer, evidence=list(evidence), abstained=answer is None, **{"reason": None, **more})


class ReplayArm:
    """Answers as it is told to, and keeps what it was told."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.sessions: Sequence[Session] = ()
        self.asked: list[tuple[str, dt.datetime]] = []

    def ingest(self, sessions: Sequence[Session]) -> Any:
        self.sessions = sessions

    def session_id(self, caller_id: str) -> str | None:
        return f"x{caller_id}"

    def __call__(self, *, question: str, as_of: dt.datetime) -> dspy.Prediction:
        self.asked.append((question, as_of))
        return self.reply(question)


class Arms:
    """Makes arms, and keeps those it made."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.made: list[ReplayArm] = []

    @contextmanager
    def __call__(self) -> Generator[ReplayArm]:
        self.made.append(ReplayArm(self.reply))
        yield self.made[-1]

    @property
    def asked(self) -> list[str]:
        return [question for arm in self.made for question, _ in arm.asked]


def cases(count: int) -> list[Case]:
    return [case_of(record(f"q{number}", question=f"Question {number}?")) for number in range(count)]


def results(path: Path) -> ArmResults:
    return ResultsFolder(path, {}).arm("replay")


def test_an_arm_gets_history_question_and_date_and_citations_are_mapped_back() -> None:
    case = case_of(record())
    arms = Arms(lambda _: answered("Rex", "x00001.0", "x00001.0", "x00009.0", "x00001.7", "nonsense", cost_usd=0.25))
    answer = ask(case, arms)
    assert arms.made[0].asked == [(case.question, case.as_of)]
    assert arms.made[0].sessions == case.sessions
    assert (answer.answer, answer.evidence, answer.unknown_evidence) == ("Rex", (("00001", 0),), 3)
    assert answer.cost_usd == 0.25
    assert answer.raw == {
        "answer": "Rex",
        "evidence": ["x00001.0", "x00001.0", "x00009.0", "x00001.7", "nonsense"],
        "abstained": False,
        "reason": None,
        "cost_usd": 0.25,
    }


def test_the_sessions_that_hold_the_answer_can_be_handed_over_alone() -> None:
    arms = Arms(lambda _: answered("Rex"))
    ask(case_of(record()), arms, evidence_only=True)
    assert [session.id for session in arms.made[0].sessions] == ["00001"]


def test_what_json_cannot_hold_is_kept_as_text() -> None:
    answer = ask(case_of(record()), Arms(lambda _: answered("R\ud800x", odd={1, 2}, wild=float("nan"))))
    assert answer.answer == "R?x"
    assert answer.model_validate_json(answer.model_dump_json()) == answer


@pytest.mark.parametrize("threads", [1, 3])
def test_a_finished_question_is_not_asked_again(tmp_path: Path, threads: int) -> None:
    arms = Arms(lambda _: answered("Rex"))
    assert run(cases(4), arms, results(tmp_path), ExactMatch(), threads=threads) == 0
    assert run(cases(6), arms, results(tmp_path), ExactMatch(), threads=threads) == 0
    assert sorted(arms.asked) == [f"Question {number}?" for number in range(6)]
    kept = results(tmp_path)
    assert set(kept.answers) == set(kept.verdicts) == {f"q{number}" for number in range(6)}
    assert len(kept.hypotheses.read_text().splitlines()) == 6


@pytest.mark.parametrize("threads", [1, 3])
def test_a_question_that_fails_is_left_for_the_next_time(tmp_path: Path, threads: int) -> None:
    def reply(question: str) -> dspy.Prediction:
        if question == "Question 1?":
            raise RuntimeError("the model is away")
        return answered("Rex")

    assert run(cases(3), Arms(reply), results(tmp_path), ExactMatch(), threads=threads) == 1
    assert set(results(tmp_path).answers) == {"q0", "q2"}
    well = Arms(lambda _: answered("Rex"))
    assert run(cases(3), well, results(tmp_path), ExactMatch(), threads=threads) == 0
    assert well.asked == ["Question 1?"]


@pytest.mark.parametrize("threads", [1, 3])
def test_when_all_fail_it_stops(tmp_path: Path, threads: int) -> None:
    def reply(_: str) -> dspy.Prediction:
        raise RuntimeError("no key")

    arms = Arms(reply)
    with pytest.raises(FatalError, match="5 questions in a row failed, the last with RuntimeError: no key"):
        run(cases(30), arms, results(tmp_path), ExactMatch(), threads=threads)
    assert len(arms.made) < 10


def test_without_a_sandbox_it_stops_at_once(tmp_path: Path) -> None:
    def reply(_: str) -> dspy.Prediction:
        raise SandboxError("there is no Deno")

    arms = Arms(reply)
    with pytest.raises(SandboxError, match="there is no Deno"):
        run(cases(3), arms, results(tmp_path), ExactMatch())
    assert len(arms.made) == 1


def test_what_an_observer_spent_is_kept() -> None:
    class Observed(ReplayArm):
        def ingest(self, sessions: Sequence[Session]) -> Any:
            return SimpleNamespace(observed=SimpleNamespace(usage=SimpleNamespace(cost_usd=0.5)))

    answer = ask(case_of(record()), lambda: nullcontext(Observed(lambda _: answered("Rex"))))
    assert answer.ingest_cost_usd == 0.5
    assert ask(case_of(record()), Arms(lambda _: answered("Rex"))).ingest_cost_usd == 0


def test_an_answer_whose_judge_failed_is_judged_later_and_not_asked_again(tmp_path: Path) -> None:
    class Away:
        about = ""

        def is_right(self, question: str, answer: str, key: Key) -> bool:
            raise RuntimeError("the judge is away")

    arms = Arms(lambda _: answered("Rex"))
    assert run(cases(2), arms, results(tmp_path), Away()) == 2
    assert run(cases(2), arms, results(tmp_path), ExactMatch()) == 0
    assert len(arms.asked) == 2
    assert all(verdict.is_right for verdict in results(tmp_path).verdicts.values())


def test_what_judging_costs_is_kept_apart_from_the_arms_cost(tmp_path: Path) -> None:
    arms = Arms(lambda question: answered("Rex" if "0" in question else None, cost_usd=0.25))
    with model_server.ModelServer(model_server.Always(model_server.Reply(fields(is_right="True")))) as server:
        judge = ModelJudge(model_lm(server, model="openai/gpt-4o-mini"), "a model")
        assert run(cases(2), arms, results(tmp_path), judge) == 0
    kept = results(tmp_path)
    assert [answer.cost_usd for answer in kept.answers.values()] == [0.25, 0.25]
    assert 0 < (kept.verdicts["q0"].cost_usd or 0) < 0.001
    assert kept.verdicts["q1"].cost_usd == 0  # nobody was asked
    exact = ArmResults(tmp_path, "exact")
    assert run(cases(1), Arms(lambda _: answered("Rex")), exact, ExactMatch()) == 0
    assert exact.verdicts["q0"].cost_usd == 0


def test_a_verdict_from_before_costs_were_kept_is_read(tmp_path: Path) -> None:
    results(tmp_path)
    (tmp_path / "replay.verdicts.jsonl").write_text('{"question_id": "q0", "is_right": true, "answer": ""}\n')
    assert results(tmp_path).verdicts["q0"].cost_usd is None


def test_abstaining_is_right_where_there_is_no_answer_only(tmp_path: Path) -> None:
    done: list[tuple[str, bool]] = []
    run(
        [case_of(record("q1")), case_of(record("q2_abs"))],
        Arms(lambda _: answered(None, reason="no_evidence")),
        results(tmp_path),
        ExactMatch(),
        on_done=lambda case, is_right: done.append((case.id, is_right)),
    )
    assert done == [("q1", False), ("q2_abs", True)]


def test_a_question_that_is_answered_anew_is_judged_anew(tmp_path: Path) -> None:
    assert run(cases(1), Arms(lambda _: answered("Tom")), results(tmp_path), ExactMatch()) == 0
    assert not results(tmp_path).verdicts["q0"].is_right
    next(tmp_path.rglob("*.answers.jsonl")).unlink()
    assert run(cases(1), Arms(lambda _: answered("Rex")), results(tmp_path), ExactMatch()) == 0
    assert results(tmp_path).verdicts["q0"].is_right
