"""The suite that ships with the package, run against the session that ships with it, and against worse ones."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from rlm_module.sandbox.base import CellResult, Dispatch, Setup
from rlm_module.sandbox.conformance import CHECKS, Check, NotConforming, run_checks
from rlm_module.sandbox.deno import DenoSession


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_deno_session_conforms(check: Check) -> None:
    made: list[DenoSession] = []

    def make() -> DenoSession:
        made.append(DenoSession())
        return made[-1]

    check(make)
    assert made
    assert [session.pid for session in made] == [None] * len(made)


class Mute:
    """Has the methods of a session and answers every cell with nothing."""

    def start(self, setup: Setup, dispatch: Dispatch) -> Future[None]:
        return _done(None)

    def load(self, name: str, value: object) -> Future[None]:
        return _done(None)

    def execute(self, code: str, clock: bytes = b"") -> Future[CellResult]:
        return _done(CellResult())

    def lose(self, names: tuple[str, ...]) -> Future[None]:
        return _done(None)

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


class Broken(Mute):
    def start(self, setup: Setup, dispatch: Dispatch) -> Future[None]:
        raise OSError("cannot start\nfor reasons")


def _done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


# An answer of nothing is no way out of the sandbox, and cannot be told from one that ran a cell to no effect.
_A_MUTE_KEEPS = {"check_files_of_the_host_are_out_of_reach"}


@pytest.mark.parametrize(
    "check", [check for check in CHECKS if check.__name__ not in _A_MUTE_KEEPS], ids=lambda check: check.__name__
)
def test_every_check_can_fail(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_module.sandbox.conformance.claims._PATIENCE_SECONDS", 0.01)
    with pytest.raises(NotConforming):
        check(Mute)


def test_failures_are_listed_by_check_with_a_line_each() -> None:
    failures = run_checks(Broken)
    assert [failure.check for failure in failures[:-1]] == [check.__name__ for check in CHECKS[:-1]]
    assert failures[0].reason == "OSError: cannot start"


def test_a_session_that_leaks_files_is_caught() -> None:
    class Leaky(Mute):
        def execute(self, code: str, clock: bytes = b"") -> Future[CellResult]:
            if code.startswith("print(open("):
                return _done(CellResult(stdout=eval(code.removeprefix("print(")[:-1])))
            return super().execute(code)

    (check,) = (check for check in CHECKS if check.__name__ in _A_MUTE_KEEPS)
    with pytest.raises(NotConforming, match="does not read"):
        check(Leaky)
