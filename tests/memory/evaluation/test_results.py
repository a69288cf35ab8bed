"""The results folder: what it keeps, what it survives, and what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rlm_module.errors import InputError
from rlm_module.memory.evaluation.results import Answer, ArmResults, ResultsFolder, Verdict

ABOUT = {"data": "set.json", "model": "a/model"}


def folder(path: Path) -> ArmResults:
    return ResultsFolder(path, ABOUT).arm("tools")


def test_lines_come_back(tmp_path: Path) -> None:
    results = folder(tmp_path / "r")
    answer = Answer(
        question_id="q1",
        answer="Räx\n",
        abstained=False,
        evidence=(("0001", 2),),
        cost_usd=0.5,
        raw={"steps": [1, None]},
    )
    results.answer(answer)
    results.judge(Verdict(question_id="q1", is_right=True))
    again = folder(tmp_path / "r")
    assert again.answers == {"q1": answer}
    assert again.verdicts == {"q1": Verdict(question_id="q1", is_right=True)}


def test_a_line_that_was_cut_off_is_dropped_and_written_over(tmp_path: Path) -> None:
    results = folder(tmp_path)
    results.answer(Answer(question_id="q1", answer="Rex", abstained=False))
    path = tmp_path / "tools.answers.jsonl"
    path.write_bytes(path.read_bytes() + b'{"question_id": "q2", "ans')
    again = folder(tmp_path)
    assert set(again.answers) == {"q1"}
    again.answer(Answer(question_id="q2", answer=None, abstained=True))
    assert set(folder(tmp_path).answers) == {"q1", "q2"}


def test_hypotheses_are_as_the_evaluator_reads_them(tmp_path: Path) -> None:
    results = folder(tmp_path)
    results.answer(Answer(question_id="q1", answer="Rex", abstained=False))
    results.answer(Answer(question_id="q2", answer=None, abstained=True))
    results.write_hypotheses()
    lines = [json.loads(line) for line in results.hypotheses.read_text().splitlines()]
    assert lines[0] == {"question_id": "q1", "hypothesis": "Rex"}
    assert set(lines[1]) == {"question_id", "hypothesis"}
    assert "don't know" in lines[1]["hypothesis"]


def test_a_folder_of_another_evaluation_is_refused(tmp_path: Path) -> None:
    ResultsFolder(tmp_path, ABOUT)
    with pytest.raises(InputError, match=r"results of another evaluation \(model a/model\)"):
        ResultsFolder(tmp_path, {**ABOUT, "model": "b/model"})


@pytest.mark.parametrize("note", ["{", "[]", '"text"'])
def test_a_folder_whose_note_is_broken_is_refused(tmp_path: Path, note: str) -> None:
    (tmp_path / "about.json").write_text(note)
    with pytest.raises(InputError, match="name another folder"):
        ResultsFolder(tmp_path, ABOUT)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be used for results"):
        ResultsFolder(tmp_path / "file", ABOUT)


def test_lines_of_another_kind_are_refused(tmp_path: Path) -> None:
    ResultsFolder(tmp_path, ABOUT)
    (tmp_path / "tools.answers.jsonl").write_text('{"hello": 1}\n')
    with pytest.raises(InputError, match="holds a line that is no result"):
        folder(tmp_path)


def test_a_verdict_is_of_the_answer_that_it_judged(tmp_path: Path) -> None:
    results = folder(tmp_path)
    answer = Answer(question_id="q1", answer="Rex", abstained=False)
    results.answer(answer)
    results.judge(Verdict(question_id="q1", is_right=True, answer=answer.mark))
    assert set(folder(tmp_path).verdicts) == {"q1"}
    results.answer(answer.model_copy(update={"answer": "Tom"}))
    assert results.verdicts == {}
    assert folder(tmp_path).verdicts == {}


def test_a_file_is_put_in_its_place_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = folder(tmp_path)
    results.answer(Answer(question_id="q1", answer="Rex", abstained=False))
    results.write_hypotheses()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    results.answer(Answer(question_id="q2", answer="Tom", abstained=False))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            results.write_hypotheses()
        with pytest.raises(InputError, match=r"cannot be used for results \(No space left on device\)"):
            ResultsFolder(tmp_path / "other", ABOUT)
    assert results.hypotheses.read_bytes() == before[results.hypotheses.name]
    assert {path.name for path in tmp_path.iterdir()} == {*before, "other"}
    assert list((tmp_path / "other").iterdir()) == []
