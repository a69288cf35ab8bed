"""`rlm eval`: what is asked, what is left on disk, what is printed, and the exit status; models are scripted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dspy
import pytest
from click.testing import CliRunner, Result
from dspy.lm15 import Request

from rlm_module.cli import evaluating
from rlm_module.cli.eval import ARM_NAMES
from rlm_module.cli.main import rlm
from rlm_module.memory.arms import ARMS
from tests.memory.evaluation.records import record
from tests.scripted import ScriptedLM, fields, texts, turn


@dataclass
class Models:
    """Stands in for providers: keeps what each model was asked."""

    replies: dict[str, Callable[[Request], Any]] = field(default_factory=dict[str, Callable[[Request], Any]])
    made: dict[str, ScriptedLM] = field(default_factory=dict[str, ScriptedLM])

    def named(self, name: str, **options: Any) -> dspy.LM:
        return self.made.setdefault(name, ScriptedLM(self.replies[name], name))

    def asked(self, name: str) -> int:
        return len(self.made[name].requests) if name in self.made else 0


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    found = Models({"a/model": lambda _: fields(answer="Rex", evidence="[]")})
    monkeypatch.delenv("RLM_MODEL", raising=False)
    monkeypatch.setattr(evaluating, "named_model", found.named)
    monkeypatch.setattr(evaluating, "model_or_offline", lambda name: found.named(name or "offline"))
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "set.json"
    path.write_text(json.dumps([record(f"q{number}", question=f"Question {number}?") for number in range(6)]))
    return path


def run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(rlm, ["eval", *arguments, "--results", str(tmp_path / "out")], catch_exceptions=False)


def longmemeval(tmp_path: Path, data: Path, *arguments: str) -> Result:
    return run(tmp_path, "longmemeval", "--data", str(data), "-m", "a/model", *arguments)


def test_every_arm_can_be_named() -> None:
    assert set(ARM_NAMES) == set(ARMS)


def test_figures_are_printed_and_answers_kept(tmp_path: Path, models: Models, data: Path) -> None:
    result = longmemeval(tmp_path, data, "--arm", "full_history", "--arm", "oracle")
    assert result.exit_code == 0, result.stderr
    assert "scored by exact match" in result.stdout
    assert result.stdout.count("100.0% (61.0%–100.0%) of 6") == 6  # type, micro and macro of either arm
    assert "oracle: 6 of 6, 6 right" in result.stderr
    lines = (tmp_path / "out" / "oracle.hypotheses.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"question_id": "q0", "hypothesis": "Rex"}
    raw = json.loads((tmp_path / "out" / "oracle.answers.jsonl").read_text().splitlines()[0])["raw"]
    assert raw["answer"] == "Rex"


def test_a_second_time_nothing_is_asked(tmp_path: Path, models: Models, data: Path) -> None:
    first = longmemeval(tmp_path, data, "--arm", "full_history")
    assert models.asked("a/model") == 6
    again = longmemeval(tmp_path, data, "--arm", "full_history")
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    assert models.asked("a/model") == 6


def test_a_model_judges_if_one_is_named(tmp_path: Path, models: Models, data: Path) -> None:
    models.replies["b/judge"] = lambda request: fields(is_right="Question 3?" in texts(request)[-1][1])
    result = longmemeval(tmp_path, data, "--arm", "full_history", "--judge", "b/judge", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["arms"][0]["micro"]["value"] == pytest.approx(1 / 6)
    assert "comparable with published ones, not identical" in told["judging"]
    assert told["judge"] == "b/judge"


@pytest.mark.parametrize(
    ("arm", "cell", "asked"),
    [
        ("rlm", "print(llm_query('Who?'))\nSUBMIT(answer=None, evidence=[])", 1),
        ("delegation", "ask_session(search('slipper')[0].session_id, 'Who?')\nSUBMIT(answer=None)", 1),
        ("observations", "observations()\nSUBMIT(answer=None)", 3),
        ("full_history", "", 0),
    ],
)
def test_the_model_that_reads_may_be_another(
    tmp_path: Path, models: Models, data: Path, arm: str, cell: str, asked: int
) -> None:
    empty = fields(answer="None", turns="[]", evidence="[]", observations="[]")
    models.replies["a/model"] = lambda _: turn(cell) if cell else empty
    models.replies["b/reader"] = lambda _: empty
    result = longmemeval(tmp_path, data, "--arm", arm, "-n", "1", "--sub-model", "b/reader", "--json")
    assert result.exit_code == 0, result.stderr
    assert (models.asked("a/model"), models.asked("b/reader")) == (1, asked)
    assert json.loads(result.stdout)["sub-model"] == "b/reader"


def test_n_questions_are_spread_over_the_file(tmp_path: Path, models: Models, data: Path) -> None:
    assert longmemeval(tmp_path, data, "--arm", "bm25", "-n", "3", "--threads", "2").exit_code == 0
    lines = (tmp_path / "out" / "bm25.answers.jsonl").read_text().splitlines()
    assert {json.loads(line)["question_id"] for line in lines} == {"q0", "q2", "q4"}


def test_a_broken_file_is_told_before_anything_is_asked(tmp_path: Path, models: Models, data: Path) -> None:
    data.write_text(data.read_text()[:-20])
    result = longmemeval(tmp_path, data, "--arm", "full_history")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "may be truncated" in result.stderr
    assert models.asked("a/model") == 0


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [((), "No arm is named"), (("--arm", "magic"), "'magic' is not one of"), (("--arm", "bm25", "-n", "0"), "x>=1")],
)
def test_options_that_cannot_be_used(
    tmp_path: Path, models: Models, data: Path, arguments: tuple[str, ...], fault: str
) -> None:
    result = longmemeval(tmp_path, data, *arguments)
    assert result.exit_code == 2
    assert fault in result.stderr


def test_results_of_other_questions_are_not_mixed_in(tmp_path: Path, models: Models, data: Path) -> None:
    longmemeval(tmp_path, data, "--arm", "bm25")
    text = data.read_text()
    data.write_text(text.replace("Rex", "Tom"))  # as long as before
    result = longmemeval(tmp_path, data, "--arm", "bm25")
    assert result.exit_code == 2
    assert "results of another evaluation" in result.stderr
    asked = models.asked("a/model")
    (tmp_path / "renamed.json").write_text(text)
    again = longmemeval(tmp_path, tmp_path / "renamed.json", "--arm", "bm25")
    assert again.exit_code == 0
    assert models.asked("a/model") == asked


def test_a_question_that_fails_is_told_and_tried_again(tmp_path: Path, models: Models, data: Path) -> None:
    broken = {"Question 1?"}

    def reply(request: Request) -> Any:
        return (
            RuntimeError("away")
            if any(q in texts(request)[-1][1] for q in broken)
            else fields(answer="Rex", evidence="[]")
        )

    models.replies["a/model"] = reply
    result = longmemeval(tmp_path, data, "--arm", "full_history")
    assert result.exit_code == 1
    assert "1 questions failed; the same command tries them again" in result.stderr
    broken.clear()
    assert longmemeval(tmp_path, data, "--arm", "full_history").exit_code == 0


def test_where_all_fail_it_ends_early(tmp_path: Path, models: Models, data: Path) -> None:
    models.replies["a/model"] = lambda _: RuntimeError("no key")
    result = longmemeval(tmp_path, data, "--arm", "full_history")
    assert result.exit_code == 1
    assert "5 questions in a row failed" in result.stderr
    assert models.asked("a/model") <= 10  # an adapter may try each twice


def test_the_generated_set_can_be_written_and_read_as_the_published_one(tmp_path: Path, models: Models) -> None:
    path = tmp_path / "made.json"
    made = run(tmp_path, "generated", "--questions", "7", "--sessions", "25", "--write", str(path))
    assert (made.exit_code, made.stdout) == (0, "")
    assert "7 questions" in made.stderr
    assert longmemeval(tmp_path, path, "--arm", "oracle").exit_code == 0


def test_the_generated_set_can_be_asked(tmp_path: Path, models: Models) -> None:
    models.replies["offline"] = lambda _: fields(answer="None", evidence="[]")
    result = run(tmp_path, "generated", "--questions", "7", "--sessions", "25", "--arm", "bm25", "--json")
    assert result.exit_code == 0, result.stderr
    assert "No model is named (-m or RLM_MODEL): the offline one answers, which gets hardly anything" in result.stderr
    (arm,) = json.loads(result.stdout)["arms"]
    assert arm["micro"]["value"] == pytest.approx(1 / 7)  # the one that has no answer
    assert arm["abstention_recall"]["value"] == 1


@pytest.mark.parametrize("arguments", [("--sessions", "3"), ("--sessions", "501")])
def test_other_sizes_are_bad_input(tmp_path: Path, models: Models, arguments: tuple[str, ...]) -> None:
    result = run(tmp_path, "generated", *arguments, "--arm", "bm25")
    assert result.exit_code == 2
    assert "ask for 25 to 500" in result.stderr
