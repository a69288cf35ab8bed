"""A started session, with what the tests ask of one in short words."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self

from rlm_module.sandbox.base import CellError, CellResult, HostCall, HostFunction, Setup
from rlm_module.sandbox.deno import DenoSession

PATIENCE = 60.0
"""Seconds after which a session counts as hung."""


class Repl:
    """A session whose host functions are given as Python functions; `calls` keeps what was asked of them.

    Args:
        functions: By name. One that returns a Future answers when that is settled.
        outputs: SUBMIT's fields.
        seed: Of the session's randomness.
        ahead: How many calls may be started early, of all functions but those named in `one_by_one`.
        one_by_one: Functions of which no call is started early.
        limits: Of `DenoSession`.
    """

    def __init__(
        self,
        functions: dict[str, Callable[..., Any]] | None = None,
        outputs: tuple[str, ...] | None = None,
        seed: int = 0,
        ahead: int = 0,
        one_by_one: tuple[str, ...] = (),
        **limits: Any,
    ) -> None:
        self.functions = functions or {}
        self.calls: list[HostCall] = []
        self.session = DenoSession(**limits)
        known = (HostFunction(name, ahead=name not in one_by_one) for name in self.functions)
        setup = Setup(tuple(known), outputs, seed, ahead)
        self.session.start(setup, self._dispatch).result(PATIENCE)

    def run(self, code: str) -> CellResult:
        return self.session.execute(code).result(PATIENCE)

    def value(self, code: str) -> str | None:
        """The repr of the cell's last expression; the cell must not fail."""
        result = self.run(code)
        assert result.error is None, result.text
        return result.value

    def error(self, code: str) -> CellError:
        """Why the cell failed; it must."""
        result = self.run(code)
        assert result.error is not None, result.text
        return result.error

    def load(self, **values: object) -> None:
        for name, value in values.items():
            self.session.load(name, value).result(PATIENCE)

    @property
    def pid(self) -> int:
        assert self.session.pid is not None
        return self.session.pid

    def close(self) -> None:
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _dispatch(self, call: HostCall) -> Future[Any]:
        self.calls.append(call)
        future: Future[Any] = Future()
        try:
            answer = self.functions[call.function](*call.args, **call.kwargs)
        except Exception as error:
            future.set_exception(error)
            return future
        if isinstance(answer, Future):
            return answer
        future.set_result(answer)
        return future
