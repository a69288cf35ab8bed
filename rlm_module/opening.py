"""Opens the session of an RLM: makes its interpreter, and loads the inputs into it."""

from __future__ import annotations

import base64
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.primitives.code_interpreter import SIMPLE_TYPES, CodeInterpreter
from dspy.primitives.sandbox_serializable import SandboxSerializable

from rlm_module.errors import InputError
from rlm_module.foreign import ForeignSession
from rlm_module.host.workers import Crew
from rlm_module.interpreter import Sandbox
from rlm_module.sandbox.base import Session
from rlm_module.signatures.inputs import SandboxInput
from rlm_module.watched import WatchedSession

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that is not started yet.

    Args:
        session: It.
        runtime: The interpreter's own rules, for the model.
        is_own: Whether the interpreter is this package's.
    """

    session: Session
    runtime: str
    is_own: bool


def open_session(
    factory: Callable[[], CodeInterpreter],
    thread: Crew,
    task: type[dspy.Signature],
    inputs: Mapping[str, Any],
    signatures: Mapping[str, inspect.Signature],
) -> Opened:
    """Makes the interpreter; to be called on the thread that is its own.

    Args:
        factory: Makes it.
        thread: Where this runs.
        task: The RLM's signature.
        inputs: What will be loaded.
        signatures: Parameters of the host functions by name.

    Raises:
        InputError: If the inputs cannot fit.
        TypeError: If the factory makes no interpreter.
    """
    interpreter: Any = factory()
    if not isinstance(interpreter, CodeInterpreter):
        raise TypeError(
            f"interpreter_factory must return a dspy.CodeInterpreter, not {type(interpreter).__name__}; "
            "return a new interpreter from it."
        )
    runtime = getattr(factory, "execution_instructions", None) or getattr(interpreter, "execution_instructions", "")
    if not isinstance(runtime, str):
        raise TypeError("execution_instructions of an interpreter_factory must be a str.")
    if isinstance(interpreter, Sandbox):
        interpreter.session.check_fits(inputs)
        is_watched = bool(dspy.settings.get("callbacks") or interpreter.callbacks)
        return Opened(WatchedSession(interpreter, thread) if is_watched else interpreter.session, runtime, True)
    fields = [_described(name, info) for name, info in task.output_fields.items()]
    return Opened(ForeignSession(interpreter, thread, signatures, fields), runtime, False)


def load_inputs(session: Session, inputs: Mapping[str, Any]) -> None:
    """Binds each input to its name in a started session."""
    for name, value in inputs.items():
        is_own = isinstance(value, SandboxInput) and not isinstance(session, ForeignSession)
        if isinstance(value, SandboxSerializable) and not is_own:
            _load_serializable(session, name, value)
        else:
            session.load(name, value).result()


def _described(name: str, info: Any) -> dict[str, Any]:
    simple = info.annotation in SIMPLE_TYPES
    return {"name": name, "type": info.annotation.__name__} if simple else {"name": name}


def _load_serializable(session: Session, name: str, value: SandboxSerializable) -> None:
    """Brings a value into the sandbox the way it asks for: its payload as a variable, then its own code."""
    raw = f"_raw_{name}"
    payload: Any = value.to_sandbox()  # bytes by its type, but dspy takes text as well
    lines: list[str] = []
    try:
        text = payload.decode() if isinstance(payload, bytes) else str(payload)
    except UnicodeDecodeError:
        session.load(f"{raw}_base64", base64.b64encode(payload).decode()).result()
        lines += ["import base64", f"{raw} = base64.b64decode({raw}_base64)"]
    else:
        session.load(raw, text).result()
    setup = value.sandbox_setup()
    lines += [setup] if setup else []
    result = session.execute("\n".join([*lines, value.sandbox_assignment(name, raw)])).result()
    if result.error is not None:
        raise InputError(
            f"Input {name!r} could not be set up in the sandbox ({result.error.type}: {result.error.message}); "
            f"check {type(value).__name__}'s sandbox_setup and sandbox_assignment, or use an interpreter they work in."
        )
