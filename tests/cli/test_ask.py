"""`rlm ask`: what reaches the run, what comes out where, and the exit status; the run itself is a stand-in."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dspy
import pytest
from click.testing import CliRunner, Result

import rlm_module
from rlm_module.cli.main import rlm
from rlm_module.errors import FatalError, InputError, SandboxError
from rlm_module.events import Acted, AnyEvent, CellFinished, Usage

Behaviour = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Library:
    """Stands in for the package: keeps what a run was made from, and plays what it comes to."""

    behave: Behaviour = lambda inputs: {"answer": "42"}
    reason: str = "submitted"
    events: tuple[AnyEvent, ...] = ()
    signature: type[dspy.Signature] = dspy.Signature
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    lm: Any = None
    listener: Callable[[AnyEvent], None] | None = None

    def make(self, signature: type[dspy.Signature], **options: Any) -> Callable[..., dspy.Prediction]:
        self.signature, self.options = signature, options
        return self.run

    def run(self, **inputs: Any) -> dspy.Prediction:
        self.inputs, self.lm = inputs, dspy.settings.lm
        print("printed by some library")
        if self.listener:
            for event in self.events:
                self.listener(event)
        run = SimpleNamespace(
            run_id="r1",
            termination_reason=self.reason,
            trajectory=({}, {}),
            seconds=1.5,
            cost_usd=0.25,
            usage={"total": Usage(calls=2)},
        )
        return PredictionStandIn(run, self.behave(inputs))

    @contextlib.contextmanager
    def capture(self, on_event: Callable[[AnyEvent], None] | None = None) -> Generator[list[object]]:
        self.listener = on_event
        yield []


class PredictionStandIn(dspy.Prediction):
    """Has `run` as an attribute, which an output of that name hides."""

    def __init__(self, run: object, outputs: dict[str, Any]) -> None:
        super().__init__(outputs)
        self._of_run = run

    def __getattr__(self, key: str) -> Any:
        return self._of_run if key == "run" and key not in self else super().__getattr__(key)


class OfflineStandIn:
    pass


class SandboxStandIn:
    def __init__(self, memory_mb: int) -> None:
        self.memory_mb = memory_mb


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Library:
    library = Library()
    stand_ins = {
        "RLM": library.make,
        "capture_runs": library.capture,
        "OfflineLM": OfflineStandIn,
        "Sandbox": SandboxStandIn,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(rlm_module, name, stand_in, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("alpha")
    Path("b.txt").write_text("beta")
    return library


def _ask(*arguments: str, stdin: str | bytes | None = None, env: dict[str, str] | None = None) -> Result:
    return CliRunner(env=env).invoke(rlm, ["ask", *arguments], input=stdin)


def test_the_answer_alone_goes_to_stdout(library: Library) -> None:
    result = _ask("a.txt", "-q", "How many?")
    assert (result.exit_code, result.stdout) == (0, "42\n")
    assert "printed by some library" in result.stderr
    assert library.inputs == {"context": "alpha", "query": "How many?"}


def test_several_documents_are_a_dict_by_relative_path(library: Library) -> None:
    _ask("a.txt", "b.txt", "-", "-q", "?", stdin="piped")
    assert library.inputs["context"] == {"a.txt": "alpha", "b.txt": "beta", "<stdin>": "piped"}
    assert library.signature.input_fields["context"].annotation == dict[str, str]


def test_the_limits_reach_the_run(library: Library) -> None:
    _ask("a.txt", "-q", "?", "--max-iters", "7", "--max-llm-calls", "0", "--memory-mb", "512")
    assert (library.options["max_iters"], library.options["max_llm_calls"]) == (7, 0)
    assert library.options["interpreter_factory"]().memory_mb == 512


class TestModels:
    def test_none_named_means_the_offline_one_and_is_said(self, library: Library) -> None:
        result = _ask("a.txt", "-q", "?")
        assert isinstance(library.lm, OfflineStandIn)
        assert library.options["sub_lm"] is None
        assert "No model is named (-m or RLM_MODEL)" in result.stderr

    def test_a_named_one_is_used_and_nothing_is_said(self, library: Library) -> None:
        result = _ask("a.txt", "-q", "?", "-m", "openai/gpt-5", "--sub-model", "openai/gpt-5-mini")
        assert library.lm.model == "openai/gpt-5"
        assert library.options["sub_lm"].model == "openai/gpt-5-mini"
        assert "No model" not in result.stderr

    def test_the_environment_names_one_and_an_option_wins(self, library: Library) -> None:
        _ask("a.txt", "-q", "?", env={"RLM_MODEL": "openai/from-env"})
        assert library.lm.model == "openai/from-env"
        _ask("a.txt", "-q", "?", "-m", "openai/from-option", env={"RLM_MODEL": "openai/from-env"})
        assert library.lm.model == "openai/from-option"

    def test_a_missing_key_is_one_sentence(self, library: Library) -> None:
        library.behave = lambda inputs: dspy.settings.lm("hello")
        result = _ask("a.txt", "-q", "?", "-m", "openai/gpt-5")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "OPENAI_API_KEY" in result.stderr.splitlines()[-1]
        assert len([line for line in result.stderr.splitlines() if line.startswith("Error: ")]) == 1

    @pytest.mark.parametrize("option", ["-m", "--sub-model"])
    def test_a_name_that_is_none_is_one_sentence(self, library: Library, option: str) -> None:
        result = _ask("a.txt", "-q", "?", option, "nonsense/")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "provider/model" in result.stderr.splitlines()[-1]


class TestSignatures:
    @pytest.mark.parametrize(
        ("signature", "question", "expected"),
        [
            ("document -> summary", None, {"document": "alpha"}),
            ("query, context -> answer", "?", {"query": "?", "context": "alpha"}),
            ("question, pages -> answer", "?", {"question": "?", "pages": "alpha"}),
            ("log, ask -> answer", "?", {"log": "alpha", "ask": "?"}),
            ("pages: dict[str, str], query -> answer", "?", {"pages": {"a.txt": "alpha"}, "query": "?"}),
            ("pages: list[str], query -> answer", "?", {"pages": ["alpha"], "query": "?"}),
        ],
    )
    def test_inputs_are_bound_by_name_and_type(
        self, library: Library, signature: str, question: str | None, expected: dict[str, Any]
    ) -> None:
        library.behave = lambda inputs: dict.fromkeys(library.signature.output_fields, "x")
        result = _ask("a.txt", "-s", signature, *(["-q", question] if question else []))
        assert result.exit_code == 0, result.output
        assert library.inputs == expected

    def test_several_documents_for_a_text_input_are_joined_under_their_names(self, library: Library) -> None:
        _ask("a.txt", "b.txt", "-q", "?", "-s", "context: str, query -> answer")
        assert library.inputs["context"] == "==> a.txt <==\nalpha\n==> b.txt <==\nbeta"

    def test_a_class_in_a_file_that_imports_its_neighbour(self, library: Library) -> None:
        Path("kinds_of_answers.py").write_text("KIND = int\n")
        Path("tasks.py").write_text(
            "import dspy\nfrom kinds_of_answers import KIND\n"
            "class Count(dspy.Signature):\n"
            "    '''Count carefully.'''\n"
            "    lines: str = dspy.InputField()\n"
            "    query: str = dspy.InputField(default='How many?')\n"
            "    answer: KIND = dspy.OutputField()\n"
        )
        result = _ask("a.txt", "-s", "tasks.py:Count")
        assert result.exit_code == 0, result.output
        assert library.signature.instructions == "Count carefully."
        assert library.inputs == {"lines": "alpha"}

    def test_a_ready_made_signature_gets_documents_by_name(self, library: Library) -> None:
        Path("tasks.py").write_text("from rlm_module.signatures import CitedQA\n")
        library.behave = lambda inputs: {"answer": "42", "citations": []}
        result = _ask("a.txt", "b.txt", "-q", "?", "-s", "tasks.py:CitedQA")
        assert result.exit_code == 0, result.output
        assert library.inputs == {"documents": {"a.txt": "alpha", "b.txt": "beta"}, "question": "?"}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["-q", "?", "-s", "context query"], "must contain exactly one '->'"),
            (["-q", "?", "-s", "context: Nonsense, query -> answer"], "Nonsense"),
            (["-q", "?", "-s", "context, query ->"], "has no output"),
            (["-q", "?", "-s", "a, b, c -> answer"], "has no input for the question"),
            (["-q", "?", "-s", "a, b, query -> answer"], "needs a, b, query; give the others a default"),
            (["-q", "?", "-s", "document -> answer"], "has no input for the question; name one 'query'"),
            (["-q", "?", "-s", "query -> answer"], "has no input for the documents"),
            (["-s", "context, query -> answer"], "asks for 'query'; give it with -q"),
            ([], "asks for 'query'; give it with -q"),
            (["-s", "missing.py:Task"], "missing.py: there is no such file"),
            (["-s", "empty.py:Task"], "empty.py defines no Task"),
            (["-s", "broken.py:Task"], "broken.py cannot be imported (ZeroDivisionError"),
            (["-s", "other.py:Task"], "Task is not a class derived from dspy.Signature"),
        ],
    )
    def test_a_fault_is_one_sentence(self, library: Library, arguments: list[str], message: str) -> None:
        Path("empty.py").write_text("")
        Path("broken.py").write_text("1 / 0\n")
        Path("other.py").write_text("class Task: ...\n")
        result = _ask("a.txt", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
        assert library.inputs == {}


class TestOutput:
    def test_several_outputs_are_lines(self, library: Library) -> None:
        library.behave = lambda inputs: {"name": "Ada", "year": 1843}
        assert _ask("a.txt", "-q", "?", "-s", "context, query -> name, year: int").stdout == "name: Ada\nyear: 1843\n"

    @pytest.mark.parametrize(
        ("value", "printed"),
        [
            ("two\nlines", "two\nlines\n"),
            (2**60 + 1, "1152921504606846977\n"),
            (True, "True\n"),
            (None, "None\n"),
            (["ä", 1], '[\n  "ä",\n  1\n]\n'),
            ({"when": datetime.date(2025, 1, 2)}, '{\n  "when": "2025-01-02"\n}\n'),
            ("lone \ud800 surrogate", "lone \\ud800 surrogate\n"),
        ],
    )
    def test_a_single_output_is_its_plain_value(self, library: Library, value: object, printed: str) -> None:
        library.behave = lambda inputs: {"answer": value}
        result = _ask("a.txt", "-q", "?")
        assert (result.exit_code, result.stdout) == (0, printed)

    def test_json_holds_the_outputs_and_how_the_run_went(self, library: Library) -> None:
        library.behave = lambda inputs: {"answer": {"a", "b"}.intersection({"a"})}
        assert json.loads(_ask("a.txt", "-q", "?", "--json").stdout) == {
            "outputs": {"answer": ["a"]},
            "run_id": "r1",
            "termination_reason": "submitted",
            "turns": 2,
            "seconds": 1.5,
            "cost_usd": 0.25,
            "usage": {
                "total": {"calls": 2, "cached_calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0.0}
            },
        }

    def test_an_output_may_be_called_as_the_metadata_is(self, library: Library) -> None:
        library.behave = lambda inputs: {"run": 5, "usage": "much"}
        shown = json.loads(_ask("a.txt", "-q", "?", "-s", "context, query -> run: int, usage", "--json").stdout)
        assert shown["outputs"] == {"run": 5, "usage": "much"}
        assert (shown["run_id"], shown["usage"]["total"]["calls"]) == ("r1", 2)

    def test_an_answer_that_was_not_submitted_is_one_and_is_said(self, library: Library) -> None:
        library.reason = "max_iters"
        result = _ask("a.txt", "-q", "?")
        assert (result.exit_code, result.stdout) == (0, "42\n")
        assert "Nothing was submitted (max_iters); a higher --max-iters may help." in result.stderr


class TestDisplay:
    EVENTS = (
        Acted(run_id="r", turn=1, reasoning="Look.", code="print(1)", seconds=0.1, usage=Usage()),
        CellFinished(run_id="r", turn=1, output="1", failed=False, seconds=0.1),
    )

    def test_a_pipe_stays_quiet(self, library: Library) -> None:
        library.events = self.EVENTS
        assert "Look." not in _ask("a.txt", "-q", "?").stderr

    def test_verbose_shows_turns_whole_on_stderr(self, library: Library) -> None:
        library.events = self.EVENTS
        result = _ask("a.txt", "-q", "?", "-v")
        assert "  > print(1)\n  | 1\n" in result.stderr
        assert result.stdout == "42\n"


class TestExitStatus:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (FatalError("the model gave up\nat once"), 1),
            (InputError("the name `SUBMIT` is reserved; rename it"), 2),
            (SandboxError("Deno was not found; install it"), 3),
        ],
    )
    def test_each_kind_of_failure_has_its_own(self, library: Library, error: FatalError, status: int) -> None:
        def fail(inputs: dict[str, Any]) -> dict[str, Any]:
            raise error

        library.behave = fail
        result = _ask("a.txt", "-q", "?")
        assert (result.exit_code, result.stdout) == (status, "")
        assert result.stderr.splitlines()[-1] == f"Error: {' '.join(str(error).split())}."

    def test_ctrl_c_is_130(self, library: Library) -> None:
        def interrupt(inputs: dict[str, Any]) -> dict[str, Any]:
            raise KeyboardInterrupt

        library.behave = interrupt
        result = _ask("a.txt", "-q", "?")
        assert (result.exit_code, result.stdout) == (130, "")
        assert result.stderr.splitlines()[-1] == "Stopped."

    @pytest.mark.parametrize(
        "arguments", [[], ["a.txt", "--max-iters", "0"], ["a.txt", "-q"], ["missing.txt", "-q", "?"]]
    )
    def test_bad_usage_is_2(self, library: Library, arguments: list[str]) -> None:
        assert _ask(*arguments).exit_code == 2
        assert library.inputs == {}

    def test_help_documents_them(self, library: Library) -> None:
        shown = _ask("--help").stdout
        assert [line.split()[0] for line in shown.split("Exit status:")[1].split("\n") if line.strip()] == [
            "0",
            "1",
            "2",
            "3",
            "130",
        ]
