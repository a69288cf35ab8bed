"""The sandbox's session as dspy's callbacks see an interpreter: its start, each cell, and its end."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from dspy.primitives.code_interpreter import CodeExecutionError
from dspy.utils.callback import with_callbacks

from rlm_module.host.workers import Crew
from rlm_module.interpreter import Sandbox, outcome
from rlm_module.sandbox.base import CellResult, Dispatch, Setup


class WatchedSession:
    """Does what the sandbox's own session does, and tells the callbacks of it.

    Args:
        interpreter: Whose session it is, and what the callbacks are shown.
        thread: A crew of one, on which they are told, with the context of the caller.
    """

    def __init__(self, interpreter: Sandbox, thread: Crew) -> None:
        self._interpreter = interpreter
        self._session = interpreter.session
        self._thread = thread
        self._closed = False

    def start(self, setup: Setup, dispatch: Dispatch) -> Future[None]:
        """See `Session.start`."""
        session = self._session

        @with_callbacks
        def start(self: Sandbox) -> None:
            session.start(setup, dispatch).result()

        return self._thread.submit(lambda: start(self._interpreter))

    def load(self, name: str, value: object) -> Future[None]:
        """See `Session.load`."""
        return self._session.load(name, value)

    def execute(self, code: str, clock: bytes = b"") -> Future[CellResult]:
        """See `Session.execute`. What the code does wrong is an exception to the callbacks."""
        session, results = self._session, list[CellResult]()

        @with_callbacks
        def execute(self: Sandbox, code: str, variables: dict[str, Any] | None = None) -> Any:
            results.append(session.execute(code, clock).result())
            return outcome(results[0])

        def run() -> CellResult:
            with suppress(CodeExecutionError, SyntaxError):
                execute(self._interpreter, code)
            return results[0]

        return self._thread.submit(run)

    def lose(self, names: tuple[str, ...]) -> Future[None]:
        """See `Session.lose`."""
        return self._session.lose(names)

    def interrupt(self) -> None:
        """See `Session.interrupt`."""
        self._session.interrupt()

    def close(self) -> None:
        """See `Session.close`."""
        if self._closed:
            return
        self._closed = True
        session = self._session

        @with_callbacks
        def shutdown(self: Sandbox) -> None:
            session.close()

        shutdown(self._interpreter)
