"""`Sandbox`: a sandbox session as a `dspy.CodeInterpreter`, for RLM and for every dspy module that runs code."""

from __future__ import annotations

import ast
import hashlib
import inspect
import queue
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput
from dspy.utils.callback import BaseCallback, with_callbacks
from pydantic_core import to_jsonable_python

from rlm_module.errors import FatalError
from rlm_module.host.workers import Coroutines
from rlm_module.sandbox.base import CellResult, HostCall, HostFunction, Setup
from rlm_module.sandbox.codec import CodecError, encode
from rlm_module.sandbox.deno import DenoSession
from rlm_module.sandbox.host_calls import to_plain


@dataclass(frozen=True, slots=True)
class _ToolCall:
    call: HostCall
    future: Future[Any] = field(default_factory=Future)


class Sandbox:
    """Runs Python in a sealed Pyodide; pass the class itself, or a function that makes one, as `interpreter_factory`.

    Variables stay between calls, and a variable passed again is loaded again only if its value changed. Printed text
    is never lost: it comes back in the result, or in the text of the error.

    Args:
        tools: Host functions that the code may call by name.
        memory_mb: Cap on the memory of the sandbox's Python, in MiB (64 to 4096).
        cell_seconds: Longest time that the Python of one `execute` runs; waiting for a tool doesn't count.
        max_output_chars: Characters of output that one `execute` returns; the middle of what is longer is left out.
        callbacks: dspy callbacks of this instance.

    Raises:
        InputError: If a limit makes no sense.
    """

    execution_instructions = (
        "Python 3.14 in WebAssembly, with the standard library and no other packages. Variables, imports and functions "
        "stay between cells. There are no files, network, threads or subprocesses. A cell may use top-level `await`."
    )

    def __init__(
        self,
        tools: dict[str, Callable[..., Any]] | None = None,
        memory_mb: int = 2048,
        cell_seconds: float = 120.0,
        max_output_chars: int = 100_000,
        callbacks: list[BaseCallback] | None = None,
    ) -> None:
        self.tools: dict[str, Callable[..., Any]] = dict(tools or {})
        self.output_fields: list[dict[str, Any]] | None = None
        self.callbacks = list(callbacks or [])
        self.session = DenoSession(memory_mb=memory_mb, cell_seconds=cell_seconds, max_output_chars=max_output_chars)
        self._setup: Setup | None = None
        self._loaded: dict[str, Any] = {}
        self._calls: queue.SimpleQueue[_ToolCall | None] = queue.SimpleQueue()
        self._coroutines = Coroutines(None)
        self._is_running = False

    @with_callbacks
    def start(self) -> None:
        """Starts the sandbox now instead of at the first `execute`; may be called again.

        Raises:
            CodeInterpreterError: If it cannot be started.
        """
        setup = self._current_setup()
        if setup == self._setup:
            return
        try:
            if self._setup is None:
                self.session.start(setup, self._dispatch).result()
            else:
                self.session.register(setup).result()
        except FatalError as error:
            raise CodeInterpreterError(str(error)) from error
        self._setup = setup

    @with_callbacks
    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        """Runs code in the session.

        Args:
            code: Python source.
            variables: Values to bind to global names before it runs.

        Returns:
            FinalOutput if the code called SUBMIT, else what it printed and the repr of its last expression, or None
            if there is neither. A last expression that is text, with nothing printed, comes back as that text.

        Raises:
            CodeExecutionError: If the code fails, with what it had printed.
            SyntaxError: If it is no Python.
            CodeInterpreterError: If the sandbox cannot run it, whatever the code.
        """
        if self._is_running:  # its result would be waited for by the cell that waits for the tool
            raise CodeInterpreterError(
                "A tool cannot run code in the sandbox that called it; give it a Sandbox of its own."
            )
        self._is_running = True
        try:
            self.start()
            self._load_changed(variables or {})
            calls = self._calls = queue.SimpleQueue()
            running = self.session.execute(code)
            running.add_done_callback(lambda _: calls.put(None))
            self._answer_calls()
            result = running.result()
        except FatalError as error:
            raise CodeInterpreterError(str(error)) from error
        except Exception:
            raise
        except BaseException:  # Ctrl-C, or a tool that exits: the cell must not run on without its host
            self.session.close()
            raise
        finally:
            self._is_running = False
        return outcome(result, is_plain=not self.output_fields)

    @with_callbacks
    def shutdown(self) -> None:
        """Ends the sandbox; a new one must be made to go on."""
        self.session.close()
        self._coroutines.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def __call__(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        return self.execute(code, variables)

    @with_callbacks
    def invoke_tool(self, tool_name: str, kwargs: dict[str, Any]) -> Any:
        """Runs a tool for the code; a coroutine it returns is for the caller to await."""
        return self.tools[tool_name](**kwargs)

    def _dispatch(self, call: HostCall) -> Future[Any]:
        """Hands a call to the thread that waits in `execute`, whose context (dspy settings) its tool is to run in."""
        pending = _ToolCall(call)
        self._calls.put(pending)
        return pending.future

    def _answer_calls(self) -> None:
        """Runs the tools of a cell on this thread, in order; coroutines run side by side on a loop of their own."""
        while (pending := self._calls.get()) is not None:
            if pending.future.set_running_or_notify_cancel():
                self._answer(pending)

    def _answer(self, pending: _ToolCall) -> None:
        try:
            name, args, kwargs = pending.call.function, pending.call.args, pending.call.kwargs
            result = self.invoke_tool(name, _by_name(self.tools[name], args, kwargs))
        except Exception as error:  # whatever the tool raises is raised again in the sandbox
            pending.future.set_exception(error)
            return
        if not inspect.iscoroutine(result):
            pending.future.set_result(result)
            return
        self._coroutines.submit(result).add_done_callback(lambda done: _copy_outcome(done, pending.future))

    def _current_setup(self) -> Setup:
        functions = tuple(
            HostFunction(name, _signature_text(tool), inspect.getdoc(tool) or "") for name, tool in self.tools.items()
        )
        outputs = None if not self.output_fields else tuple(field["name"] for field in self.output_fields)
        return Setup(functions, outputs)

    def _load_changed(self, variables: dict[str, Any]) -> None:
        for name, value in variables.items():
            if not name.isidentifier():
                raise CodeInterpreterError(f"Invalid variable name {name!r}; use a Python identifier.")
            mark = _mark(value)
            if name in self._loaded and self._loaded[name] == mark:
                continue
            self.session.load(name, value).result()
            self._loaded[name] = mark


def outcome(result: CellResult, *, is_plain: bool = False) -> Any:
    """What a cell did, as a dspy interpreter tells it.

    Args:
        result: It.
        is_plain: Whether what was submitted is given as plain JSON values.

    Raises:
        CodeExecutionError: If the code failed, with what it had printed.
        SyntaxError: If it was no Python.
    """
    if result.final is not None:
        return FinalOutput(to_jsonable_python(result.final) if is_plain else result.final)
    if result.error is None:
        if result.value is not None and not result.stdout and not result.stderr and result.value[:1] in "'\"":
            return _text_of(result.value)
        return result.text if result.value is not None or result.stderr else result.stdout or None
    if result.error.kind == "syntax":
        raise SyntaxError(result.text)
    raise CodeExecutionError(result.text)


def _text_of(value: str) -> str:
    """The text whose repr this is, or the repr where its middle is left out."""
    try:
        return str(ast.literal_eval(value))
    except (SyntaxError, ValueError):
        return value


def _copy_outcome(done: Future[Any], target: Future[Any]) -> None:
    error = CancelledError("the tool was cancelled") if done.cancelled() else done.exception()
    if error is None:
        target.set_result(done.result())
    else:
        target.set_exception(error)


def _by_name(tool: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name, which is how dspy calls tools and what its callbacks are shown."""
    if not args:
        return kwargs
    names = list(inspect.signature(tool).parameters)
    if len(args) > len(names):
        raise TypeError(f"takes {len(names)} arguments but got {len(args)}")
    by_position = dict(zip(names, args, strict=False))
    if twice := by_position.keys() & kwargs.keys():
        raise TypeError(f"got {sorted(twice)} twice")
    return {**by_position, **kwargs}


def _signature_text(tool: Callable[..., Any]) -> str:
    try:
        return str(inspect.signature(tool))
    except (TypeError, ValueError):
        return "(...)"


def _mark(value: Any) -> Any:
    """What two equal values share: text, bytes and numbers themselves, else a hash of the encoded value."""
    if isinstance(value, (str, bytes, int, float, type(None))):
        return type(value), value
    try:
        return hashlib.sha256(encode(value, to_plain)).digest()
    except CodecError:
        return object()  # equal to nothing, so that it is loaded, which says what is wrong with it
