"""Events to test with: any of each kind, and a small run that holds all that matters."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from rlm_module.events import (
    Acted,
    AnyEvent,
    CallFinished,
    CallStarted,
    CellFinished,
    LMCalled,
    Role,
    RunFinished,
    RunStarted,
    TurnStarted,
    Usage,
)
from tests.sandbox import values

T = TypeVar("T")

KINDS: tuple[type[Any], ...] = get_args(AnyEvent)


def fields(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def instances(kind: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{name: _of(hint) for name, hint in fields(kind).items()})


def _of(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return values.values
    if hint is str:
        return values.texts
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is types.UnionType:
        return st.one_of([_of(part) for part in arguments])
    if origin is tuple:
        return st.lists(_of(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(values.texts, _of(arguments[1]), max_size=3)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return instances(hint)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(),
        float: st.floats(),
        bool: st.booleans(),
        types.NoneType: st.none(),
    }
    return plain[hint]


def shape(event: Any) -> Any:
    """An event as something that is equal only where every field has the same value and type."""
    return type(event), [values.shape(getattr(event, name)) for name in fields(type(event))]


def usage(tokens: int = 10, cost: float | None = 0.01) -> Usage:
    return Usage(calls=1, prompt_tokens=tokens, cost_usd=cost)


def _make(kind: Callable[..., T], changes: dict[str, Any], **given: Any) -> T:
    return kind(**{"run_id": "r1", **given, **changes})


def started(**changes: Any) -> RunStarted:
    return _make(RunStarted, changes, at=1.0, task="QA", inputs={"q": "str"}, max_iters=3, max_llm_calls=5)


def finished(**changes: Any) -> RunFinished:
    outputs = {"answer": "42"}
    return _make(RunFinished, changes, at=9.0, reason="submitted", outputs=outputs, seconds=8.0, usage=usage())


def lm_called(messages: Sequence[Mapping[str, Any]], reply: str, role: Role = "root", **changes: Any) -> LMCalled:
    sent = {"messages": tuple(messages), "reply": reply, "role": role, "usage": usage(), "call": None}
    return _make(LMCalled, {**sent, **changes}, at=2.0, depth=0, model="m", seconds=0.5)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def acted(turn: int = 1, **changes: Any) -> Acted:
    said = {"reasoning": "Look first.", "code": "print(1)"}
    return _make(Acted, changes, turn=turn, at=2.5, seconds=0.8, usage=usage(), **said)


def cell(turn: int = 1, **changes: Any) -> CellFinished:
    return _make(CellFinished, changes, turn=turn, at=3.0, output="1\n", failed=False, seconds=0.3)


def call(
    number: int, function: str = "llm_query", error: str | None = None, **changes: Any
) -> tuple[CallStarted, CallFinished]:
    node = {"node": changes.get("node", 0)}
    return (
        _make(CallStarted, changes, at=2.6, call=number, cell=0, function=function),
        _make(CallFinished, node, at=2.7, call=number, function=function, seconds=0.1, error=error, usage=usage()),
    )


def small_run() -> tuple[AnyEvent, ...]:
    """A run of one turn and one sub-call, with text that lines could stumble on."""
    return (
        started(),
        TurnStarted(run_id="r1", at=1.1, turn=1),
        lm_called([user("line\u2028one\nünd \ud800")], "Look.\r\n"),
        acted(),
        *call(1),
        cell(),
        finished(outputs={"answer": {1, 2}}),
    )
