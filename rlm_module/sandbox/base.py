"""What a sandbox session is, whatever runs it: the protocol, and the values that travel through it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable


@dataclass(frozen=True, slots=True)
class HostFunction:
    """A function of the host that generated code may call by name.

    Args:
        name: The global name it gets in the sandbox, a Python identifier.
        signature: Its parameters as shown by `help()`, such as `(query: str, k: int = 5)`; for reading only.
        doc: What it does, shown by `help()`.
        ahead: Whether a call of it may be started before the program asks for it.
        typed: Whether it takes a signature, whose types the sandbox describes to it.
    """

    name: str
    signature: str = "(*args, **kwargs)"
    doc: str = ""
    ahead: bool = False
    typed: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """What a session needs to know before its first cell.

    Args:
        functions: Host functions, which become globals of the sandbox with a sync and an awaitable (`.aio`) form.
        outputs: Names of SUBMIT's fields in order; None accepts the one value `SUBMIT(output)`.
        seed: Seeds `random`, `os.urandom` and `uuid`, so that a rebuilt sandbox repeats itself.
        ahead: How many calls may be started and not yet asked for; 0 starts none early.
        optional: Those of the outputs that SUBMIT may be called without.
    """

    functions: tuple[HostFunction, ...] = ()
    outputs: tuple[str, ...] | None = None
    seed: int = 0
    ahead: int = 0
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HostCall:
    """One call that generated code makes on the host, decoded and bounded but otherwise unchecked.

    Args:
        function: A name out of `Setup.functions`.
        args: Positional arguments.
        kwargs: Keyword arguments.
        cell: Index of the cell it comes from, counted from 0 over the session.
    """

    function: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    cell: int


Dispatch: TypeAlias = "Callable[[HostCall], Future[Any]]"
"""Answers host calls. Runs on the session's I/O thread and must not block; the future's exception is raised in
the sandbox, its result is returned there. Cancelled futures are reported as interrupted calls."""

CellErrorKind = Literal["exception", "syntax", "interrupted", "killed"]


@dataclass(frozen=True, slots=True)
class CellError:
    """Why a cell failed.

    Args:
        kind: `exception` and `syntax` are the code's own; `interrupted` hit the cell limit with all state kept but
            for what the cell was doing; `killed` could not be interrupted (or outgrew the memory cap): the sandbox
            was rebuilt to its state before this cell.
        type: The exception's class name.
        message: Its text.
        traceback: A short traceback that names only cells.
    """

    kind: CellErrorKind
    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class CellResult:
    """What one cell did.

    Args:
        stdout: Printed text, cut at the source to head and tail where it exceeds the session's limit.
        stderr: The same for standard error.
        value: The repr of a last expression that is not None.
        error: Why the cell failed, or None.
        final: The fields of the first accepted SUBMIT call, or None.
        seconds: Wall time from sending the cell to its result, waiting for host calls included.
        unused: Host calls that were started early and that the cell then did not ask for.
        clock: What the cell read of the clocks, in the session's own form; given back to `execute` where the cell is
            run again.
    """

    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    error: CellError | None = None
    final: dict[str, Any] | None = None
    seconds: float = 0.0
    unused: int = 0
    clock: bytes = b""

    @property
    def text(self) -> str:
        """The cell's output as a reader of a notebook would see it: printed text, value, traceback."""
        error = (self.error.traceback or f"{self.error.type}: {self.error.message}") if self.error else ""
        parts = (self.stdout, self.stderr, self.value or "", error)
        return "\n".join(part.rstrip("\n") for part in parts if part)


@runtime_checkable
class Session(Protocol):
    """A Python REPL that generated code cannot leave.

    Methods return futures at once and may be called from any thread, but one at a time: the caller waits for a
    future before it calls again (`close` excepted). The caller owns the session and closes it. `conformance`
    checks an implementation.
    """

    def start(self, setup: Setup, dispatch: Dispatch) -> Future[None]:
        """Begins the session; called once. Fails with SandboxError."""
        ...

    def load(self, name: str, value: object) -> Future[None]:
        """Binds a value to a global name, once; what cells do to it stays done.

        Fails with InputError where the value cannot enter the sandbox.
        """
        ...

    def execute(self, code: str, clock: bytes = b"") -> Future[CellResult]:
        """Runs one cell in the session's one namespace. Fails with SandboxError when the session is lost; whatever
        the code itself does wrong is in `CellResult.error`. A cell that has run before is given the `clock` of its
        result then, and where the session can, it reads the same times.
        """
        ...

    def lose(self, names: tuple[str, ...]) -> Future[None]:
        """Takes the place of a cell that has run before and was interrupted: it is not run, and what it assigned is
        gone.
        """
        ...

    def interrupt(self) -> None:
        """Ends the cell that runs as its limit would: its future gets what it printed up to now. Without effect where
        none runs, or where the session cannot.
        """
        ...

    def close(self) -> None:
        """Ends the session at once, also in the middle of a cell (whose future then fails with SandboxError); may be
        called twice and from any thread, and never raises. Returns when no process of the session is left.
        """
        ...
