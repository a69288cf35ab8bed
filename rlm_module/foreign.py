"""Any other `dspy.CodeInterpreter` as a session, with the guarantees which that one gives."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreter, CodeInterpreterError, FinalOutput

from rlm_module.errors import SandboxError, SubcallError
from rlm_module.host.workers import Crew, result_of
from rlm_module.sandbox.base import CellError, CellResult, Dispatch, HostCall, Setup

_CLOSE_SECONDS = 5.0


class InterpreterError(SandboxError, CodeInterpreterError):
    """An interpreter failed in a way that no code can mend; also one of dspy's own errors."""


class ForeignSession:
    """Lives on one thread, gets inputs with its first cell only, and calls the host through plain functions.

    Args:
        interpreter: The interpreter; it is shut down with the session.
        thread: A crew of one, on which alone it is used. It must have been made there, too.
        signatures: Parameters of the host functions by name.
        output_fields: SUBMIT's fields as dspy describes them to an interpreter.
    """

    def __init__(
        self,
        interpreter: CodeInterpreter,
        thread: Crew,
        signatures: Mapping[str, inspect.Signature],
        output_fields: Sequence[Mapping[str, Any]],
    ) -> None:
        self._interpreter = interpreter
        self._thread = thread
        self._signatures = signatures
        self._output_fields = [dict(field) for field in output_fields]
        self._outputs: tuple[str, ...] | None = None
        self._inputs: dict[str, Any] = {}
        self._cell = -1
        self._closed = False

    def start(self, setup: Setup, dispatch: Dispatch) -> Future[None]:
        """See `Session.start`."""
        self._outputs = setup.outputs
        interpreter: Any = self._interpreter
        for function in setup.functions:
            interpreter.tools[function.name] = self._host_function(function.name, function.doc, dispatch)
        if hasattr(interpreter, "output_fields"):
            interpreter.output_fields = self._output_fields
        if hasattr(interpreter, "_tools_registered"):  # else it keeps the functions it had at its start
            interpreter._tools_registered = False
        return self._thread.submit(lambda: _guarded(self._interpreter.start))

    def load(self, name: str, value: object) -> Future[None]:
        """See `Session.load`."""
        self._inputs[name] = value
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def execute(self, code: str, clock: bytes = b"") -> Future[CellResult]:
        """See `Session.execute`. The clock is the interpreter's own."""
        return self._thread.submit(lambda: self._execute(code))

    def lose(self, names: tuple[str, ...]) -> Future[None]:
        """See `Session.lose`."""
        self._cell += 1
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def interrupt(self) -> None:
        """See `Session.interrupt`. dspy's interpreters have no such thing."""

    def close(self) -> None:
        """See `Session.close`. An interpreter that does not come back from a cell is left to itself."""
        if self._closed:
            return
        self._closed = True
        own = self._thread.submit(self._interpreter.shutdown)
        if not wait([own], timeout=0.2).done:
            # The thread is busy in a cell, so it cannot be asked. A process of dspy's is simply ended.
            process = getattr(self._interpreter, "deno_process", None)
            if process is not None:
                process.kill()
            else:
                helper = Crew("rlm-interpreter-shutdown", 1)
                wait([helper.submit(self._interpreter.shutdown)], timeout=_CLOSE_SECONDS)
                helper.close()
        wait([own], timeout=_CLOSE_SECONDS)
        self._thread.close()

    def _execute(self, code: str) -> CellResult:
        self._cell += 1
        began = time.perf_counter()
        inputs = dict(self._inputs)
        try:
            result = _guarded(lambda: self._interpreter.execute(code, variables=inputs))
        except SyntaxError as error:  # nothing of the cell has run, and the inputs may not be bound either
            return _failed(CellError("syntax", "SyntaxError", str(error)), began)
        except CodeExecutionError as error:
            self._inputs.clear()
            name, _, message = str(error).partition(": ")
            kind = name if name.isidentifier() else type(error).__name__
            return _failed(CellError("exception", kind, message or str(error), str(error)), began)
        self._inputs.clear()
        return self._read(result, time.perf_counter() - began)

    def _read(self, result: Any, seconds: float) -> CellResult:
        if isinstance(result, FinalOutput):
            return CellResult(final=self._final(result.output), seconds=seconds)
        if result is None:
            return CellResult(seconds=seconds)
        if result and isinstance(result, (str, list)):
            text = result if isinstance(result, str) else "\n".join(map(str, result))
            return CellResult(stdout=text, seconds=seconds)
        return CellResult(value=repr(result), seconds=seconds)

    def _final(self, output: Any) -> dict[str, Any]:
        if isinstance(output, dict):  # what is no output is left out, as by dspy, unless it is all there is
            return {name: output[name] for name in self._outputs or () if name in output} or output
        names = self._outputs or ("output",)
        return {names[0]: output} if len(names) == 1 else {"output": output}

    def _host_function(self, name: str, doc: str, dispatch: Dispatch) -> Callable[..., Any]:
        """The function as the interpreter calls it: it blocks, and its parameters can be inspected."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return _plain(result_of(dispatch(HostCall(name, args, kwargs, self._cell))))

        call.__name__ = call.__qualname__ = name
        call.__doc__ = doc
        call.__signature__ = self._signatures.get(name, inspect.signature(call))  # pyright: ignore[reportFunctionMemberAccess]
        return call


def _guarded(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except (CodeExecutionError, SyntaxError):
        raise
    except CodeInterpreterError as error:
        raise InterpreterError(f"The interpreter failed ({error}); check it, or use rlm_module.Sandbox.") from error


def _plain(result: Any) -> Any:
    """A result without this package's types, which a foreign sandbox does not know."""
    if isinstance(result, list):
        return [
            {"error": item.kind, "message": item.message} if isinstance(item, SubcallError) else item for item in result
        ]
    return result


def _failed(error: CellError, began: float) -> CellResult:
    return CellResult(error=error, seconds=time.perf_counter() - began)
