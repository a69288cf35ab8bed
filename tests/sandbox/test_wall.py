"""Nothing leaves the sandbox: attempts made from inside a cell, judged by what the host saw of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from rlm_module.sandbox.runtime.shipped import RUNNER
from tests.sandbox.attempts import ENDINGS, JAVASCRIPT, PYTHON, TAMPERING, WORKERS
from tests.sandbox.repl import Repl
from tests.sandbox.watch import SECRET, Watch, is_alive, watching

_HELPER = """
from pyodide.code import run_js
async def js(body):
    return await run_js("(async () => {" + body + "})()")
kept = [1]
"""


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    with pytest.MonkeyPatch.context() as patch, watching(tmp_path_factory.mktemp("host")) as watch:
        patch.setenv("PLANTED_SECRET", SECRET)
        yield watch


class Prisoner:
    """A session that is made anew after an attempt that cost its process, so that attempts are not run again."""

    def __init__(self, watch: Watch, cell_seconds: float) -> None:
        self._watch = watch
        self._cell_seconds = cell_seconds
        self._repl: Repl | None = None

    def attempt(self, code: str) -> str:
        """Runs the code, checks what the host saw and that the session lives on; the cell's text."""
        repl = self._repl or self._started()
        pid = repl.pid
        try:
            text = repl.run(self._filled_in(code)).text
            self._watch.check(pid)
            assert repl.value("kept, 1 + 1") == "([1], 2)"
            is_same = repl.pid == pid
        except BaseException:
            self.close()
            raise
        if not is_same:
            assert not is_alive(pid)
            self.close()
        return text

    def harm(self, code: str) -> None:
        """Runs code that breaks its own session for good, and two more cells; what they do is up to it, if they end."""
        repl = self._repl or self._started()
        try:
            for source in (self._filled_in(code), "1 + 1", "keep(2)"):
                pid = repl.session.pid
                repl.run(source)
                self._watch.check(pid or 0)
        finally:
            self.close()

    def close(self) -> None:
        if self._repl is not None:
            self._repl.close()
            self._repl = None

    def _started(self) -> Repl:
        self._repl = Repl({"keep": lambda value: value}, cell_seconds=self._cell_seconds)
        self._repl.run(_HELPER)
        return self._repl

    def _filled_in(self, code: str) -> str:
        for name, value in {
            "FILE": self._watch.canary,
            "FOLDER": self._watch.folder,
            "PORT": self._watch.port,
            "RUNTIME": self._watch.own[0],
            "RUNNER": RUNNER,
            "HOST": os.getpid(),
        }.items():
            code = code.replace(name, str(value))
        return code


@pytest.fixture(scope="module")
def prisoner(watch: Watch) -> Iterator[Prisoner]:
    prisoner = Prisoner(watch, cell_seconds=20)
    yield prisoner
    prisoner.close()


@pytest.fixture(scope="module")
def brief(watch: Watch) -> Iterator[Prisoner]:
    prisoner = Prisoner(watch, cell_seconds=0.5)
    yield prisoner
    prisoner.close()


@pytest.mark.parametrize("name", [*JAVASCRIPT, *WORKERS])
def test_pitfall_36_javascript_gets_nowhere(prisoner: Prisoner, name: str) -> None:
    body, seen = {**JAVASCRIPT, **WORKERS}[name]
    text = prisoner.attempt(f"print(await js({body!r}))")
    assert re.search(seen, text), text


@pytest.mark.parametrize("name", PYTHON)
def test_pitfall_36_python_gets_nowhere(prisoner: Prisoner, name: str) -> None:
    code, seen = PYTHON[name]
    text = prisoner.attempt(code)
    assert re.search(seen, text), text


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("name", ENDINGS)
def test_pitfall_36_an_attempt_to_end_or_block_the_process_ends_in_its_cell(brief: Prisoner, name: str) -> None:
    text = brief.attempt(f"await js({ENDINGS[name]!r})")
    assert "had to be restarted" in text or "ran over its time limit" in text


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("name", TAMPERING)
def test_pitfall_36_tampering_with_what_the_runner_uses_harms_nobody_else(brief: Prisoner, name: str) -> None:
    brief.harm(f"await js({TAMPERING[name]!r})\nkeep(1)\n2")
    assert brief.attempt("print(keep(1) + 1)") == "2"


def test_the_attempts_are_many() -> None:
    assert len(JAVASCRIPT) + len(WORKERS) + len(PYTHON) + len(ENDINGS) + len(TAMPERING) >= 100


def test_pitfall_36_modules_that_code_imports_leave_nothing_on_disk(prisoner: Prisoner) -> None:
    body = """for (const type of ['text/javascript', 'application/typescript'])
        for (let i = 0; i < 4; i++)
            await import(`data:${type},export const x${i} = "${'x'.repeat(100000)}"; export function f() {}`);
        return 'imported'"""
    assert "imported" in prisoner.attempt(f"print(await js({body!r}))")
