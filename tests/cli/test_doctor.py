"""`rlm doctor`: each check passes on a whole installation, and each fault is told with its mend."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dspy
import pytest
from click.testing import CliRunner, Result

import rlm_module
from rlm_module.cli import doctor
from rlm_module.cli.main import rlm
from rlm_module.errors import SandboxError
from rlm_module.sandbox.runtime import Runtime

CHECKS = ["deno", "cache", "runtime", "snapshot", "cell"]


@dataclass
class Machine:
    """Stands in for what doctor looks at; `broken` names the functions that fail."""

    folder: Path
    broken: dict[str, str] = field(default_factory=dict[str, str])
    changed: list[str] = field(default_factory=list[str])
    fetched: int = 0

    def __post_init__(self) -> None:
        self.runtime = Runtime(
            deno=self.folder / "deno",
            cache=self.folder / "cache",
            folder=self.folder / "cache" / "pyodide",
            snapshot=self.folder / "cache" / "snapshot.bin",
        )

    def find_deno(self) -> Path:
        self._fail_if_broken("find_deno")
        return self.runtime.deno

    def install(self) -> None:
        self.runtime.folder.mkdir(parents=True, exist_ok=True)
        (self.runtime.folder / "manifest.json").write_text("{}")

    def ensure_runtime(self, progress: Callable[[str], None]) -> Runtime:
        progress("fetching")
        if not self.runtime.installed:
            self._fail_if_broken("fetch")
            self.install()
            self.fetched += 1
        self._fail_if_broken("snapshot")
        self.runtime.snapshot.write_bytes(b"\0" * 2 * 1024 * 1024)
        return self.runtime

    def execute(self, code: str) -> str:
        if "execute" in self.broken:
            raise dspy.CodeInterpreterError(self.broken["execute"])
        assert "6 * 7" in code
        return "Python 3.14 answers 42\n"

    def _fail_if_broken(self, part: str) -> None:
        if part in self.broken:
            raise SandboxError(self.broken[part])


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)

    class SandboxStandIn:
        execute = staticmethod(machine.execute)

        def shutdown(self) -> None:
            pass

    def verify(_: Runtime) -> list[str]:
        return machine.changed

    stand_ins: dict[str, Any] = {
        "find_deno": machine.find_deno,
        "deno_version": lambda _: (2, 9, 1),
        "cache_folder": lambda: machine.runtime.cache,
        "locate_runtime": lambda: machine.runtime,
        "ensure_runtime": machine.ensure_runtime,
        "verify": verify,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(doctor, name, stand_in)
    monkeypatch.setattr(rlm_module, "Sandbox", SandboxStandIn, raising=False)
    return machine


def _doctor(*arguments: str) -> Result:
    return CliRunner().invoke(rlm, ["doctor", *arguments])


def _findings(*arguments: str) -> dict[str, tuple[bool, str]]:
    checks = json.loads(_doctor(*arguments, "--json").stdout)["checks"]
    return {check["name"]: (check["ok"], check["detail"]) for check in checks}


def test_this_installation_is_whole() -> None:
    """The one test that looks at the real thing."""
    result = _doctor()
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [["ok", name] for name in CHECKS]
    assert "answers 42" in result.stdout


def test_all_well_is_a_line_each_and_status_0(machine: Machine) -> None:
    result = _doctor()
    assert result.exit_code == 0
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [["ok", name] for name in CHECKS]
    assert "2.9.1 at" in result.stdout
    assert "2 MiB" in result.stdout


def test_what_is_only_missing_is_fetched_once(machine: Machine) -> None:
    assert "fetching" in _doctor().stderr
    assert machine.fetched == 1
    _doctor()
    assert machine.fetched == 1


@pytest.mark.parametrize(
    ("part", "check"),
    [("find_deno", "deno"), ("fetch", "runtime"), ("snapshot", "snapshot"), ("execute", "cell")],
)
def test_a_fault_is_told_by_the_check_it_belongs_to(machine: Machine, part: str, check: str) -> None:
    machine.broken[part] = "It is broken; mend it so."
    result = _doctor()
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    failed = CHECKS.index(check)
    assert [line.split()[:2] for line in lines[:failed]] == [["ok", name] for name in CHECKS[:failed]]
    assert lines[failed].startswith("FAIL")
    assert "t is broken; mend it so." in lines[failed]
    assert all(line.startswith("FAIL") and f"needs the {check} check to pass" in line for line in lines[failed + 1 :])


def test_a_changed_file_is_told_with_the_folder_to_delete(machine: Machine) -> None:
    machine.changed = ["pyodide.asm.wasm"]
    ok, detail = _findings()["runtime"]
    assert not ok
    assert "pyodide.asm.wasm" in detail
    assert f"delete {machine.runtime.folder}" in detail


@pytest.fixture
def _no_writing(machine: Machine) -> None:
    """A file where the cache folder should be: nobody can write there, not even root."""
    machine.runtime.cache.write_text("")


@pytest.mark.usefixtures("_no_writing")
def test_a_cache_that_cannot_be_written_is_told_with_the_mend(machine: Machine) -> None:
    ok, detail = _findings()["cache"]
    assert not ok
    assert "set RLM_MODULE_CACHE to a folder that can" in detail


def test_a_complete_cache_may_be_read_only(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.ensure_runtime(lambda _: None)
    monkeypatch.setattr(Runtime, "ready", property(lambda runtime: runtime.installed and runtime.snapshot.is_file()))

    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    ok, detail = _findings()["cache"]
    assert ok
    assert detail.endswith("(read-only, but complete)")


@pytest.mark.usefixtures("machine")
class TestModel:
    def test_one_that_is_named_is_asked_for_a_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []

        class Answering:
            def __init__(self, model: str, **_: object) -> None:
                self.model = model

            def __call__(self, prompt: str) -> list[str]:
                asked.append(f"{self.model}: {prompt}")
                return ["ready"]

        monkeypatch.setattr(dspy, "LM", Answering)
        assert _findings("-m", "openai/gpt-5")["model"] == (True, "openai/gpt-5 answers")
        assert asked == ["openai/gpt-5: Reply with the word: ready"]

    def test_a_missing_key_is_one_sentence_and_status_1(self) -> None:
        result = _doctor("-m", "openai/gpt-5")
        assert result.exit_code == 1
        assert "FAIL  model" in result.stdout.splitlines()[-1]
        assert "OPENAI_API_KEY" in result.stdout.splitlines()[-1]

    def test_a_broken_sandbox_does_not_keep_it_from_being_asked(self, machine: Machine) -> None:
        machine.broken["find_deno"] = "Deno is gone; install it."
        assert "OPENAI_API_KEY" in _findings("-m", "openai/gpt-5")["model"][1]
