"""The sandbox's own side of a session: runs cells, captures what they print, calls the host.

Runs inside Pyodide, where `wire` is a small JavaScript object that moves bytes (`runner/main.ts`). It is part of the
memory snapshot, so everything it imports here is loaded before a session starts.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import hashlib
import inspect
import linecache
import os
import random
import sys
import time
import traceback
import types
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, NoReturn

from rlm_module.errors import SubcallError
from rlm_module.sandbox.codec import MAX_FRAME, CodecError, decode, encode
from rlm_module.sandbox.guest import stand_in
from rlm_module.sandbox.guest.ahead import MOST
from rlm_module.sandbox.guest.calling import AHEAD, host_callable
from rlm_module.sandbox.guest.clip import Clip
from rlm_module.sandbox.guest.state import STATE

_TRACEBACK_FRAMES = 8
_MESSAGE_CHARS = 2_000


class Submitted(BaseException):
    """Leaves the cell after SUBMIT; not an Exception, so that `except Exception` lets it pass."""


def connect(wire: Any) -> None:
    """Called once after the snapshot is loaded, which cannot hold what belongs to JavaScript."""
    import pyodide.ffi  # pyright: ignore[reportMissingImports] - exists in the sandbox only

    STATE.wire, STATE.ask, STATE.ffi = wire, wire.ask, pyodide.ffi


def setup(body: Any) -> bytes:
    """Answers a SETUP frame: names the host's functions and SUBMIT's fields; the first one seeds randomness too."""
    spec = decode(body.to_bytes())
    if not STATE.namespace:
        STATE.namespace = sys.modules["__main__"].__dict__
        builtins.input = _refuse_input
        time.sleep = _sleep
        _seed(spec["seed"])
    STATE.output_limit = spec["output_limit"]
    STATE.outputs, STATE.optional = spec["outputs"], set(spec["optional"])
    AHEAD.limit, AHEAD.namespace = min(spec["ahead"], MOST), STATE.namespace
    names: dict[str, Any] = {"SHOW_VARS": show_vars, "SUBMIT": submit, "SubcallError": SubcallError}
    names.update({name: host_callable(name, *rest) for name, *rest in spec["functions"]})
    stand_in.offer(names)
    STATE.namespace.update(names)
    STATE.hidden.update(STATE.namespace if STATE.cell < 0 else names)
    return encode(None)


def load(name: str, body: Any) -> bytes:
    """Answers a LOAD frame: binds one input, or tells why it cannot."""
    try:
        STATE.namespace[name] = decode(body.to_bytes())
    except MemoryError:
        return encode("it does not fit into the sandbox's memory")
    except CodecError as error:
        return encode(str(error))
    return encode(None)


def forget(body: Any) -> bytes:
    """Answers a FORGET frame: removes what an interrupted cell had assigned."""
    for name in decode(body.to_bytes()):
        STATE.namespace.pop(name, None)
    return encode(None)


def run(source: str, number: int) -> bytes:
    """Answers a CELL frame. Never raises but for an interrupt that lands here, outside the code's own frames."""
    STATE.cell = number
    STATE.final = None
    STATE.interrupted = False
    AHEAD.begin_cell()
    out, err = Clip(STATE.output_limit), Clip(STATE.output_limit)
    value = error = None
    with _captured(out, err):
        try:
            value = _execute(source)
        except Submitted:
            pass
        except BaseException as raised:  # whatever the code raises belongs to the cell
            error = _describe(raised)
        finally:
            AHEAD.end_cell()
            _cancel_leftover_tasks()
    stray = STATE.wire.stray()
    if stray:
        out.write(stray)
    return _result(out.text(), err.text(), value, error)


def _result(out: str, err: str, value: str | None, error: dict[str, Any] | None) -> bytes:
    final = STATE.final
    result = {"stdout": out, "stderr": err, "value": value, "error": error, "final": final, "unused": AHEAD.unused}
    body = encode(result)
    if len(body) <= MAX_FRAME:
        return body
    message = f"the submitted value takes {len(body):,} bytes; submit at most {MAX_FRAME:,}"
    error = {"kind": "exception", "type": "ValueError", "message": message, "traceback": f"ValueError: {message}"}
    return encode({**result, "value": value, "error": error, "final": None})


@contextmanager
def _captured(out: Clip, err: Clip) -> Generator[None]:
    saved = sys.stdout, sys.stderr
    STATE.stdout.clip, STATE.stderr.clip = out, err
    sys.stdout, sys.stderr = STATE.stdout, STATE.stderr  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = saved


def _execute(source: str) -> str | None:
    """Runs the cell in the one namespace; the repr of its last expression, cut to the output limit."""
    filename = f"<cell {STATE.cell}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    tree = ast.parse(source, filename)
    AHEAD.prepare(tree, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    if tree.body:
        _evaluate(tree, filename, "exec")
    if last is None or not isinstance(last, ast.Expr):
        return None
    value = _evaluate(ast.Expression(last.value), filename, "eval")
    if value is None:
        return None
    STATE.namespace["_"] = value
    shown = Clip(STATE.output_limit)
    shown.write(repr(value))
    return shown.text()


def _evaluate(tree: ast.Module | ast.Expression, filename: str, mode: str) -> Any:
    code = compile(tree, filename, mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, STATE.namespace)
    if not code.co_flags & inspect.CO_COROUTINE:
        return result
    return _await(result)


def _await(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async def guarded() -> tuple[Any, BaseException | None]:  # asyncio prints what a task raises; this one never does
        try:
            return await coroutine, None
        except BaseException as raised:  # raised again below
            return None, raised

    value, raised = STATE.ffi.run_sync(asyncio.ensure_future(guarded()))
    if raised is not None:
        raise raised
    return value


def interrupt() -> None:
    """Called from JavaScript while Python waits: ends every wait."""
    STATE.interrupted = True
    for task in asyncio.all_tasks(asyncio.get_event_loop()):
        task.cancel()


def _cancel_leftover_tasks() -> None:
    for task in asyncio.all_tasks(asyncio.get_event_loop()):
        task.cancel()


def _describe(raised: BaseException) -> dict[str, Any]:
    """The cell's error as plain values, with a traceback that shows the model's own frames only."""
    kind = "exception"
    if isinstance(raised, KeyboardInterrupt) or STATE.interrupted:
        kind, raised = "interrupted", KeyboardInterrupt("the cell ran over its time limit")
    elif isinstance(raised, SyntaxError) and (raised.filename or "").startswith("<cell "):
        kind = "syntax"
    elif isinstance(raised, SystemExit):
        raised = RuntimeError("exit() and sys.exit() have no effect here; call SUBMIT to end the run")
    try:
        message = str(raised)
    except Exception as broken:  # a hostile __str__
        message = f"<unprintable: {type(broken).__name__}>"
    clipped = Clip(_MESSAGE_CHARS)
    clipped.write(message)
    return {
        "kind": kind,
        "type": type(raised).__name__,
        "message": clipped.text(),
        "traceback": _short_traceback(raised, f"{type(raised).__name__}: {clipped.text()}"),
    }


def _short_traceback(raised: BaseException, last_line: str) -> str:
    if isinstance(raised, SyntaxError):
        return "".join(traceback.format_exception_only(raised)).rstrip()
    frames = [f for f in traceback.extract_tb(raised.__traceback__) if f.filename.startswith("<cell ")]
    shown = frames[-_TRACEBACK_FRAMES:]
    lines = ["Traceback (most recent call last):"] if shown else []
    if len(shown) < len(frames):
        lines.append(f"  ... {len(frames) - len(shown)} frames omitted ...")
    for frame in shown:
        lines.append(f"  {frame.filename.strip('<>')}, line {frame.lineno}, in {frame.name}: {frame.line or ''}"[:300])
    return "\n".join([*lines, last_line])


def submit(*args: Any, **kwargs: Any) -> NoReturn:
    """Ends the run with the given outputs, by name or in order."""
    fields = _bind_outputs(args, kwargs)
    try:
        fields = decode(encode(fields))  # what is changed after SUBMIT stays out of the answer
    except CodecError as error:
        raise TypeError(f"SUBMIT: {error}") from None
    if STATE.final is None:
        STATE.final = fields
    raise Submitted


def _bind_outputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    if STATE.outputs is None:
        if len(args) + len(kwargs) != 1 or (kwargs and "output" not in kwargs):
            raise TypeError("SUBMIT takes exactly one value: SUBMIT(output)")
        return {"output": args[0] if args else kwargs["output"]}
    usage = f"call SUBMIT({', '.join(f'{name}=...' for name in STATE.outputs)})"
    if len(args) > len(STATE.outputs):
        raise TypeError(f"SUBMIT got {len(args)} values for {len(STATE.outputs)} outputs; {usage}")
    fields = dict(zip(STATE.outputs, args, strict=False))
    twice = fields.keys() & kwargs.keys()
    unknown = kwargs.keys() - set(STATE.outputs)
    missing = [name for name in STATE.outputs if name not in {*fields, *kwargs, *STATE.optional}]
    faults = [f"got {name} twice" for name in sorted(twice)]
    faults += [f"has no output {name!r}" for name in sorted(unknown)]
    faults += [f"misses {name!r}" for name in missing]
    if faults:
        raise TypeError(f"SUBMIT {', '.join(faults)}; {usage}")
    return {**fields, **kwargs}


def show_vars() -> None:
    """Prints the variables of the session with their types and sizes."""
    for name, value in STATE.namespace.items():
        if name in STATE.hidden or name.startswith("_") or isinstance(value, types.ModuleType):
            continue
        size = f", {len(value):,} items" if isinstance(value, (list, tuple, dict, set)) else ""
        size = f", {len(value):,} characters" if isinstance(value, str) else size
        print(f"{name}: {type(value).__name__}{size}")


def _refuse_input(prompt: object = "") -> NoReturn:
    raise RuntimeError("input() is not available: nobody can answer; use the variables you were given")


def _sleep(seconds: float) -> None:
    """time.sleep that an interrupt can end."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    if not STATE.wire.sleep(seconds):
        raise KeyboardInterrupt


def _seed(seed: int) -> None:
    """Makes every source of randomness a function of the seed, so that re-running cells gives what they gave."""
    stream = random.Random(f"urandom:{seed}")

    def urandom(size: int) -> bytes:
        return stream.randbytes(size)

    random.seed(seed)
    os.urandom = urandom
    random._urandom = urandom  # type: ignore[attr-defined]


WARM = hashlib.sha256(encode({"$": {1, 2}}) + repr(decode(encode((1, "x")))).encode()).hexdigest()
"""Runs the codec once, so that the snapshot holds it warm."""
