"""Sessions for the tests: one of a file where cells leave each other alone, and the files' own where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.sandbox.repl import Repl


@pytest.fixture(scope="module")
def shared() -> Iterator[Repl]:
    """A session for all tests of a file: cells of one must not mind those of another."""
    functions: dict[str, Callable[..., Any]] = {"keep": lambda value: value}
    with Repl(functions, cell_seconds=10) as repl:
        yield repl


@pytest.fixture
def repl() -> Iterator[Repl]:
    """A session of the test's own, whose cells may run for half a second."""
    functions: dict[str, Callable[..., Any]] = {"keep": lambda value: value}
    with Repl(functions, cell_seconds=0.5) as repl:
        yield repl


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an interrupt does not stop is killed a moment later, where a test is about what follows."""
    monkeypatch.setattr("rlm_module.sandbox.deno._GRACE_SECONDS", 0.2)
