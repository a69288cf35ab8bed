"""The benchmark of arms: what its root may know, what its reader sees, and how it judges."""

from __future__ import annotations

import dataclasses
import json
from random import Random

import pytest

from benchmarks.figures import verdict
from benchmarks.memory_model import SimulatedModel
from benchmarks.memory_reader import SimulatedReader
from benchmarks.memory_root import SESSIONS_READ
from benchmarks.memory_words import clauses, searches
from benchmarks.rows import arms
from benchmarks.rows.arms import Asked, figures, judged
from rlm_module.memory.evaluation import ArmReport, GeneratedQuestion, generate
from rlm_module.memory.evaluation.figures import share
from rlm_module.memory.evaluation.generated.questions import POOLS
from rlm_module.memory.evaluation.generated.topics import phrase


@pytest.fixture(scope="module")
def questions() -> list[GeneratedQuestion]:
    return list(generate(seed=5, questions=42, sessions=50))


def measure(arm: str, questions: list[GeneratedQuestion]) -> ArmReport:
    return arms.measure(arm, questions, 0.0, 1, lambda _: None)


@pytest.fixture(scope="module")
def oracle(questions: list[GeneratedQuestion]) -> ArmReport:
    return measure("oracle", questions[:7])


def test_what_the_root_searches_for_names_no_answer() -> None:
    for pool in POOLS.values():
        for topic in pool:
            for asked in (*topic.asked, *topic.asked_before):
                sought = f" {' '.join(searches(phrase(asked, Random(0))))} "
                assert [value for value in topic.values if f" {value.lower()} " in sought] == []


def test_a_question_of_two_matters_is_searched_for_in_two() -> None:
    assert clauses("How many days passed between the day I quit smoking and the day I had a tooth removed?") == [
        ["quit", "smoking"],
        ["tooth", "removed"],
    ]


def test_sessions_drawn_by_lot_do_not_answer(questions: list[GeneratedQuestion]) -> None:
    found = measure("random", questions)
    assert found.micro.value is not None
    assert found.micro.value <= 0.4
    assert all(figure.reached for figure in judged(found))


def test_whoever_is_handed_the_evidence_answers(oracle: ArmReport) -> None:
    assert (oracle.micro.value, oracle.turn_recall, oracle.turn_precision) == (1, 1, 1)


def test_a_reader_errs_at_its_rate_and_always_alike(questions: list[GeneratedQuestion]) -> None:
    def readings(rate: float, occasion: str = "x") -> list[str | None]:
        texts = [
            "\n".join(f"abcdefgh.1 {statement.text}" for statement in question.statements) for question in questions
        ]
        return [
            json.dumps([reading.as_json() for reading in SimulatedReader(question, rate).read(text, occasion)])
            for question, text in zip(questions, texts, strict=True)
        ]

    right = readings(0.0)
    wrong = readings(0.2)
    assert wrong == readings(0.2)
    assert wrong != readings(0.2, "y")
    assert 3 <= sum(one != other for one, other in zip(right, wrong, strict=True)) <= 25


def test_a_reader_knows_only_what_it_is_handed(questions: list[GeneratedQuestion]) -> None:
    for question in questions:
        assert SimulatedReader(question).read(question.record["question"] + question.record["answer"]) == []


def test_the_ninth_session_is_not_read(questions: list[GeneratedQuestion]) -> None:
    question = next(one for one in questions if one.operation == "value" and one.statements)
    model = SimulatedModel(SimulatedReader(question))

    def read(session: str) -> str:
        text = "\n".join(json.dumps({"id": f"{session}.1", "text": one.text}) for one in question.statements)
        asked = f"[[ ## session ## ]]\n{text}\n\n[[ ## question ## ]]\n{question.record['question']}"
        return model.reply([("system", ""), ("user", asked)])

    names = [f"session{letter}" for letter in "abcdefgh"]
    assert len(names) == SESSIONS_READ
    assert all('"part": 1' in read(name) for name in names)
    assert '"part": 1' in read(names[0])
    assert "None" in read("sessioni")
    assert model.sessions_read == SESSIONS_READ


def test_each_figure_that_is_not_reached_is_named(oracle: ArmReport) -> None:
    good = dataclasses.replace(oracle, arm="tools")
    assert verdict(list(judged(good))) == "all 4 figures reached"
    bad = dataclasses.replace(
        good, micro=share(9, 10), turn_precision=0.9, turn_recall=None, false_abstention=share(1, 10)
    )
    assert verdict(list(judged(bad))) == (
        "miss: tools-accuracy is 90 %, must be ≥ 95 %; tools-evidence-precision is 90 %, must be ≥ 95 %; "
        "tools-evidence-recall could not be measured (no answer has any); "
        "tools-false-abstention is 10 %, must be ≤ 2 %"
    )
    easy = dataclasses.replace(oracle, arm="random")
    assert verdict(list(judged(easy))) == "miss: random-accuracy is 100 %, must be ≤ 40 %"
    assert list(judged(oracle)) == []


def test_arms_stand_beside_each_other_for_either_reader() -> None:
    shown: list[str] = []
    asked = Asked(questions=7, sessions=25, arms=("random", "full_history", "oracle"), threads=1)
    found = list(figures(asked, lambda _: None, shown.append))
    assert [figure.aim.name for figure in found] == ["random-accuracy"]
    perfect, erring = shown
    assert perfect.startswith("7 questions, 25 sessions each, perfect reader")
    assert erring.startswith("7 questions, 25 sessions each, reader that errs at 10%")
    for text in shown:
        assert [cell.strip() for cell in text.splitlines()[2].split("|")[2:5]] == ["random", "full_history", "oracle"]
