"""The figures of an arm, and the table that shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlm_module.memory.evaluation.cases import Key, QuestionType
from rlm_module.memory.evaluation.rendering import table
from rlm_module.memory.evaluation.reporting import ArmReport, report
from rlm_module.memory.evaluation.results import Answer, ResultsFolder, Verdict


def key(kind: QuestionType = "multi-session", *turns: tuple[str, int], is_abstention: bool = False) -> Key:
    sessions = frozenset(session for session, _ in turns)
    return Key(question_type=kind, answer="x", is_abstention=is_abstention, sessions=sessions, turns=frozenset(turns))


KEYS = {
    "a": key("multi-session", ("00001", 0), ("00002", 4)),
    "b": key("multi-session", ("00001", 2)),
    "c": key("knowledge-update", ("00003", 6)),
    "d": key("knowledge-update", is_abstention=True),
    "e": key("temporal-reasoning", is_abstention=True),
    "unasked": key("single-session-user", ("00001", 0)),
}
ANSWERS = (
    Answer(
        question_id="a",
        answer="x",
        abstained=False,
        evidence=(("00001", 0), ("00002", 2)),
        cost_usd=1,
        seconds=1,
        ingest_seconds=2,
    ),
    Answer(
        question_id="b",
        answer="x",
        abstained=False,
        evidence=(("00001", 2),),
        unknown_evidence=1,
        cost_usd=2,
        seconds=2,
    ),
    Answer(question_id="c", answer=None, abstained=True, cost_usd=3, seconds=3),
    Answer(question_id="d", answer=None, abstained=True, cost_usd=4, seconds=4),
    Answer(question_id="e", answer="y", abstained=False, cost_usd=10, seconds=10),
    Answer(question_id="of another set", answer="y", abstained=False),
)
RIGHT = {"a": True, "b": False, "c": False, "d": True, "e": False, "of another set": True}


@pytest.fixture
def figures(tmp_path: Path) -> ArmReport:
    results = ResultsFolder(tmp_path, {}).arm("tools")
    for answer in ANSWERS:
        results.answer(answer)
        results.judge(
            Verdict(question_id=answer.question_id, is_right=RIGHT[answer.question_id], cost_usd=answer.seconds / 100)
        )
    return report("tools", KEYS, results)


def test_accuracy_by_type_over_all_and_as_a_mean_of_types(figures: ArmReport) -> None:
    assert {kind: share.value for kind, share in figures.by_type.items() if share.of} == {
        "multi-session": 0.5,
        "knowledge-update": 0.5,
        "temporal-reasoning": 0.0,
    }
    assert (figures.answered, figures.micro.value) == (5, 0.4)
    assert figures.macro.value == pytest.approx(1 / 3)
    assert figures.abstention.value == 0.5


def test_evidence(figures: ArmReport) -> None:
    assert figures.session_recall == pytest.approx((1 + 1 + 0) / 3)
    assert figures.turn_recall == pytest.approx((0.5 + 1 + 0) / 3)
    assert figures.turn_precision == pytest.approx((0.5 + 0.5) / 2)


def test_abstention(figures: ArmReport) -> None:
    assert figures.abstention_precision.value == 0.5
    assert figures.abstention_recall.value == 0.5
    assert figures.false_abstention.value == pytest.approx(1 / 3)
    assert figures.wrong_answers.value == 0.4


def test_cost_and_time(figures: ArmReport) -> None:
    assert (figures.cost_usd.mean, figures.cost_usd.median, figures.cost_usd.p95) == (4, 3, 10)
    assert figures.ingest_seconds.p95 == 2
    assert figures.ingest_cost_usd.mean is None
    assert (figures.seconds.mean, figures.seconds.median, figures.seconds.p95) == (4, 3, 10)
    assert (figures.judge_cost_usd.mean, figures.judge_cost_usd.p95) == (pytest.approx(0.04), 0.1)


def test_the_table_has_a_column_for_each_arm(figures: ArmReport) -> None:
    lines = table([figures, figures]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].count("tools") == 2
    shown = {cells[1].strip(): cells[2].strip() for cells in (line.split("|") for line in lines)}
    assert shown["multi-session"].startswith("50.0% (")
    assert shown["single-session-user"] == "–"
    assert shown["time a question: mean, median, p95"] == "4.00 s, 3.00 s, 10.00 s"
    assert shown["cost a question: mean, median, p95"] == "$4.0000, $3.0000, $10.0000"
    assert shown["cost of judging: mean, median, p95"] == "$0.0400, $0.0300, $0.1000"


def test_a_cost_that_is_not_known_makes_the_spread_unknown(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path, {}).arm("tools")
    for name, cost in (("a", 1.0), ("b", None)):
        results.answer(Answer(question_id=name, answer="x", abstained=False, cost_usd=cost))
        results.judge(Verdict(question_id=name, is_right=True))
    found = report("tools", KEYS, results)
    assert found.cost_usd.mean is found.judge_cost_usd.mean is None
    assert "unknown" in table([found])
