"""`rlm optimize` from end to end on a scripted model: what is saved, what is said, and what is wrong with options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rlm_module import InputError
from rlm_module.cli.main import rlm
from rlm_module.optimizers import Measured, read_saved

_BOOTSTRAP = ["--metric", "exact", "--optimizer", "bootstrap"]
_PROGRAM = '''
import dspy
from rlm_module import RLM
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, fields, said, texts, turn

def answer(request):
    """Says 'right' once it is told to look twice; as the reflection model, proposes just that."""
    everything = "\\n".join(text for _, text in texts(request))
    if "[[ ## answer ## ]]" not in everything:
        return "```\\nAnswer the question. Look twice.\\n```"
    return fields(answer="right" if "Look twice." in everything else "wrong")

lm = ScriptedLM(answer)
dspy.configure(lm=lm)

class Program(dspy.Module):
    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict(dspy.Signature("question -> answer", "Answer the question."))

    def forward(self, question):
        return self.answer(question=question)

def metric(gold, pred, trace=None, pred_name=None, pred_trace=None):
    right = gold.answer == pred.answer
    return dspy.Prediction(score=float(right), feedback="" if right else "It did not look twice.")

class Reader(dspy.Module):
    """An RLM that answers in one turn."""
    def __init__(self):
        super().__init__()
        self.reader = RLM("question -> answer", interpreter_factory=FakeInterpreter)
        self.reader.set_lm(ScriptedLM(lambda request: turn("SUBMIT(answer='right')")))

    def forward(self, question):
        return self.reader(question=question)

class Brief(Reader):
    def __init__(self):
        super().__init__()
        self.reader.set_lm(ScriptedLM(lambda request: turn("SUBMIT(answer='right')"), max_tokens=6))

class Interrupted(Reader):
    """Somebody presses Ctrl-C in the third run."""
    def forward(self, question):
        Interrupted.runs = getattr(Interrupted, "runs", 0) + 1
        if Interrupted.runs == 3:
            raise KeyboardInterrupt
        return self.reader(question=question)

def half(gold, pred):
    return 0.5

class Stopped(Program):
    """Somebody presses Ctrl-C in the tenth run."""
    def forward(self, question):
        Stopped.runs = getattr(Stopped, "runs", 0) + 1
        if Stopped.runs == 10:
            raise KeyboardInterrupt
        return self.answer(question=question)

def broken():
    raise RuntimeError("no program today")

number = 3
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "compiled_program.py").write_text(_PROGRAM)
    lines = [json.dumps({"question": f"Question {number}", "answer": "right"}) for number in range(12)]
    (tmp_path / "data.jsonl").write_text("\n".join(lines))
    return tmp_path


def _optimize(folder: Path, *options: str, program: str = "Program") -> Result:
    source = f"{folder / 'compiled_program.py'}:{program}"
    told = [source, str(folder / "data.jsonl"), "--save", str(folder / "out.json"), *options]
    return CliRunner().invoke(rlm, ["optimize", *told])


def test_a_program_is_compiled_measured_and_saved_with_how_it_came_about(folder: Path) -> None:
    result = _optimize(folder, "--metric", "metric", "--max-runs", "60", "--report", str(folder / "report.html"))
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "", "there is no answer, so all goes to standard error"
    assert "6 examples train, 3 validate, 3 are held out." in result.stderr
    assert "Held-out score: 1" in result.stderr
    told = result.stderr.partition(
        "Held-out examples are run once each: 3 program runs beyond the limits of compiling."
    )
    assert "Held-out score" not in told[0]
    assert "Held-out score" in told[2]
    saved = read_saved(folder / "out.json")
    assert "Look twice." in saved.state["answer"]["signature"]["instructions"]
    found = saved.provenance
    assert found is not None
    assert found.optimizer == "gepa"
    assert found.models["default"] == "scripted/model"
    assert {"dspy", "gepa", "python", "rlm-module"} <= found.versions.keys()
    assert (found.validation and found.validation.score, found.held_out and found.held_out.score) == (1.0, 1.0)
    assert 0 < found.runs <= 60
    assert "Look twice." in (folder / "report.html").read_text()


def test_ctrl_c_saves_what_was_found_so_far(folder: Path) -> None:
    result = _optimize(folder, "--metric", "metric", "--threads", "1", program="Stopped")
    assert result.exit_code == 130, result.stderr
    assert "Stopped." in result.stderr
    saved = read_saved(folder / "out.json")
    assert saved.provenance is not None
    assert saved.provenance.held_out is None
    assert saved.provenance.runs == 9


def test_ctrl_c_stops_bootstrap_too_and_saves_what_was_found_so_far(folder: Path) -> None:
    result = _optimize(folder, *_BOOTSTRAP, "--threads", "1", program="Interrupted")
    assert result.exit_code == 130, result.stderr
    saved = read_saved(folder / "out.json")
    assert len(saved.state["reader.generate_action"]["demos"]) == 2


def test_bootstrap_says_what_it_took_and_what_it_reached(folder: Path) -> None:
    options = ["--metric", "half", "--optimizer", "bootstrap", "--max-runs", "4"]
    result = _optimize(folder, *options, program="Reader")
    assert result.exit_code == 0, result.stderr
    found = read_saved(folder / "out.json").provenance
    assert found is not None
    assert found.runs == 4
    assert found.validation == Measured(examples=3, score=0.5, cost_usd=found.cost_usd)
    assert found.held_out is not None
    assert "Validation score: 0.5 over 3 examples." in result.stderr


@pytest.mark.parametrize("optimizer", ["gepa", "bootstrap"])
def test_money_can_be_limited_once_prices_are_given(folder: Path, optimizer: str) -> None:
    options = ["--metric", "exact", "--optimizer", optimizer, "--threads", "1", "--max-cost", "0.2"]
    result = _optimize(folder, *options, program="Brief")
    assert result.exit_code == 2, result.stderr
    told = " ".join(result.stderr.split())
    assert "The price of 'scripted/model' is not known, so --max-cost could not be held" in told
    assert "--price scripted/model=IN/OUT" in told
    result = _optimize(folder, *options, "--price", "scripted/model=0/1000.5", program="Brief")
    assert result.exit_code == 0, result.stderr
    found = read_saved(folder / "out.json").provenance
    assert found is not None
    assert found.cost_usd is not None
    assert 0 < found.cost_usd <= 0.2


def test_bootstrap_keeps_to_the_money_it_is_given(folder: Path) -> None:
    priced = [*_BOOTSTRAP, "--price", "scripted/model=0/1000", "--max-cost", "0.02", "--threads", "1"]
    result = _optimize(folder, *priced, program="Brief")
    assert result.exit_code == 0, result.stderr
    found = read_saved(folder / "out.json").provenance
    assert found is not None
    assert found.cost_usd == pytest.approx(0.01)
    assert found.runs == 3, "the third could not be paid, since a part is kept for answers"


def test_a_report_that_fails_is_a_note_and_the_rest_is_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise InputError("The report cannot be written to page.html (No space left on device); name another place.")

    monkeypatch.setattr("rlm_module.optimizers.report.write_report", full)
    result = _optimize(folder, "--metric", "metric", "--max-runs", "20", "--report", str(folder / "page.html"))
    assert result.exit_code == 0, result.stderr
    assert "There is no report: The report cannot be written to page.html" in result.stderr
    assert "Held-out score" in result.stderr


@pytest.mark.parametrize(
    ("options", "program", "fault"),
    [
        (["--metric", "metric"], "nothing", "defines no nothing"),
        (["--metric", "metric"], "number", "is a int, not a dspy.Module"),
        (["--metric", "metric"], "broken", "cannot be made (RuntimeError: no program today)"),
        (["--metric", "number"], "Program", "cannot be called"),
        (["--metric", "missing.py:metric"], "Program", "there is no such file"),
        (["--metric", "exact", "--price", "model=5"], "Program", "--price model=5 is no price; write MODEL=IN/OUT"),
        (["--metric", "exact", "--save", "out.txt"], "Program", "must end in .json"),
        (
            [
                "--metric",
                "exact",
                "--optimizer",
                "bootstrap",
                "--report",
                "r.html",
                "--patience",
                "3",
                "--learn",
                "tools",
                "--run-dir",
                "r",
            ],
            "Reader",
            "--patience, --learn, --run-dir, --report cannot be used with --optimizer bootstrap",
        ),
        (
            [*_BOOTSTRAP, "--reflection-model", "openai/x"],
            "Reader",
            "--reflection-model cannot be used with --optimizer bootstrap",
        ),
        (["--metric", "metric", "--save", "nodir/out.json"], "Program", "make that folder first"),
        (["--metric", "metric", "--report", "nodir/page.html"], "Program", "make that folder first"),
        (["--metric", "metric", "--report", "."], "Program", "is a folder; name a file"),
        (["--metric", "exact", "--validation", "missing.jsonl"], "Program", "cannot be read"),
        (["--metric", "exact", "--inputs", "topic"], "Program", "lacks the program's input topic"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(folder: Path, options: list[str], program: str, fault: str) -> None:
    result = _optimize(folder, *options, program=program)
    assert result.exit_code == 2, result.output
    assert fault in " ".join(result.stderr.split())
    assert not (folder / "out.json").exists()
