"""A dspy interpreter that runs code in this process: quick, and without any of the sandbox's guarantees."""

from __future__ import annotations

import contextlib
import copy
import io
import threading
from collections.abc import Callable
from typing import Any

from dspy.primitives.code_interpreter import CodeExecutionError, FinalOutput


class _Submitted(BaseException):
    pass


class FakeInterpreter:
    """Returns what a cell prints; records the variables and the thread of each `execute`."""

    def __init__(self) -> None:
        self.tools: dict[str, Callable[..., Any]] = {}
        self.output_fields: list[dict[str, Any]] = []
        self.variables: list[dict[str, Any]] = []
        self.threads: set[str] = set()
        self.shutdowns = 0
        self._namespace: dict[str, Any] = {}

    def start(self) -> None:
        self._note_thread()

    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        self._note_thread()
        self.variables.append(copy.deepcopy(variables or {}))
        printed, final = io.StringIO(), list[Any]()

        def submit(**outputs: Any) -> None:
            final.append(outputs)
            raise _Submitted

        compiled = compile(code, "<cell>", "exec")
        self._namespace.update({**self.tools, **(variables or {}), "SUBMIT": submit})
        try:
            with contextlib.redirect_stdout(printed):
                exec(compiled, self._namespace)
        except _Submitted:
            return FinalOutput(final[0])
        except Exception as error:
            raise CodeExecutionError(f"{type(error).__name__}: {error}") from error
        return printed.getvalue() or None

    def shutdown(self) -> None:
        self._note_thread()
        self.shutdowns += 1

    def _note_thread(self) -> None:
        self.threads.add(threading.current_thread().name)
