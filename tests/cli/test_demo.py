"""`rlm demo`: a document whose truth is right, a verdict that can fail, and the whole of it on the offline model."""

from __future__ import annotations

import calendar
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rlm_module.cli.demo_document import DemoDocument, Quiz, write
from rlm_module.cli.main import rlm

SMALL = 60_000


@pytest.fixture(scope="module")
def document() -> DemoDocument:
    return write(seed=3, chars=SMALL)


def test_the_default_document_is_about_a_million_tokens() -> None:
    text = write(seed=2025, chars=4_400_000).text
    assert 1_000_000 * 4 <= len(text) < 1_200_000 * 4


def test_the_same_seed_writes_the_same_document(document: DemoDocument) -> None:
    assert write(seed=3, chars=SMALL) == document
    assert write(seed=4, chars=SMALL) != document


def test_records_are_dated_in_order_and_tagged(document: DemoDocument) -> None:
    rows = [line.split(" | ") for line in document.text.splitlines()]
    assert {len(row) for row in rows} == {4}
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def test_the_counted_truth_holds_in_the_text(document: DemoDocument) -> None:
    quiz = document.quizzes[0]
    user, label = quiz.question.split("user ")[1].split()[0], quiz.question.split("'")[1]
    month = f"2025-{list(calendar.month_name).index(quiz.question.split()[-2]):02}"
    rows = [line.split(" | ") for line in document.text.splitlines()]
    assert quiz.truth == sum(r[0].startswith(month) and r[1] == user and r[2] == label for r in rows)


def test_the_needle_is_there_once_among_its_like(document: DemoDocument) -> None:
    quiz = document.quizzes[1]
    assert document.text.count(str(quiz.truth)) == 1
    assert all(document.text.count(wrong) == 1 for wrong in quiz.wrong)
    assert len(quiz.wrong) == 7


@pytest.mark.parametrize(
    ("truth", "answer", "right"),
    [
        (4, 4, True),
        (4, 5, False),
        (4, "4", False),
        ("5Q-OSPREY", "5Q-OSPREY", True),
        ("5Q-OSPREY", "The code is 5Q-OSPREY.", True),
        ("5Q-OSPREY", "5Q-OSPREY or 3Q-PLOVER", False),
        ("5Q-OSPREY", "NOT FOUND", False),
    ],
)
def test_an_answer_is_right_only_if_it_is_the_truth(truth: int | str, answer: object, right: bool) -> None:
    assert Quiz("a -> b", "?", truth, ("3Q-PLOVER",)).is_right(answer) is right


def _demo(*arguments: str) -> Result:
    return CliRunner().invoke(rlm, ["demo", "--chars", str(SMALL), *arguments])


def test_both_questions_are_answered_and_the_figures_shown(tmp_path: Path) -> None:
    kept = tmp_path / "records.txt"
    result = _demo("--seed", "3", "--out", str(kept))
    assert result.exit_code == 0, result.output
    assert kept.read_text("utf-8") == write(seed=3, chars=SMALL).text
    for shown in ("seed 3", "OfflineLM", "SUBMIT(", "(right)", "turns", "sub-calls", "tokens"):
        assert shown in result.output
    assert result.output.count("(right)") == 2
    assert "8 sub-calls" in result.output


def test_a_wrong_answer_ends_with_status_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(quiz: Quiz, answer: object) -> bool:
        return isinstance(quiz.truth, str)

    monkeypatch.setattr(Quiz, "is_right", never)
    result = _demo("--brief")
    assert result.exit_code == 1
    assert "WRONG" in result.output
    assert "1 of 2 answers are wrong." in result.output


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    result = _demo("--out", str(tmp_path / "no" / "such.txt"))
    assert result.exit_code == 2
    assert "such.txt cannot be written" in result.output
    assert "--out" in result.output
