"""Every fault of a model's server, in every part of a run, through both of dspy's engines: each run ends, with a
Prediction and a reason or with a typed error that carries the record, and no failed sub-call passes for an answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import dspy
import pytest

from rlm_module import RLM, Budget, FatalError, Sandbox
from rlm_module.runs import Run
from tests.fake_interpreter import FakeInterpreter
from tests.model_server import (
    ModelServer,
    NoChoices,
    NotJson,
    NullContent,
    Outcome,
    Refusal,
    Reply,
    Reset,
    Stall,
    WrongUsage,
    content_policy_violation,
    context_length_exceeded,
    rate_limited,
    server_error,
)
from tests.model_server.engines import ENGINES, Engine, lm
from tests.scripted import turn
from tests.staged import ASK_CHILD, ASK_SUB, PARTS, Part, Stage, work

pytestmark = pytest.mark.timeout(60)  # far above what a run takes: a hang fails the test, and slowness doesn't

_PRICES = {"openai/test-model": (1.0, 2.0)}
_BUDGET = Budget(tokens=300_000, cost_usd=1.0, prices=_PRICES)


@dataclass(frozen=True)
class Row:
    """A fault, and what generated code sees where a sub-call meets it.

    `child` is what it sees where the turns of a child do: None where the child ends with an answer all the same.
    """

    fault: Outcome
    sub: str
    child: str | None = "lm"
    root: Literal["error", "max_iters"] = "error"


ROWS = {
    "429": Row(rate_limited(), "lm"),
    "429 with Retry-After": Row(rate_limited("0"), "lm"),
    "500": Row(server_error(), "lm"),
    "connection reset": Row(Reset(), "lm"),
    "connection reset after the headers": Row(Reset(when="after_headers"), "lm"),
    "stalled stream": Row(Stall(when="after_headers"), "timeout", child="timeout"),
    "empty choices": Row(NoChoices(), "unparsable", child=None, root="max_iters"),
    "content null": Row(NullContent(), "unparsable", child=None, root="max_iters"),
    "non-JSON": Row(NotJson(), "lm"),
    "context-window error": Row(context_length_exceeded(), "context_window", child="context_window"),
    "refusal": Row(Refusal(), "refusal", child=None, root="max_iters"),
    "refused by policy": Row(content_policy_violation(), "refusal", child="refusal"),
    "filtered": Row(Reply("so", finish_reason="content_filter"), "refusal", child=None, root="max_iters"),
    "truncated": Row(Reply("so", finish_reason="length"), "truncated", child=None, root="max_iters"),
}
WRONG_USAGE: dict[str, Any] = {
    "negative usage": {"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12},
    "absurd usage": {"prompt_tokens": 10**18, "completion_tokens": 10**18, "total_tokens": 2 * 10**18},
    "usage a hundred times too much": {"prompt_tokens": 10**7, "completion_tokens": 10**6, "total_tokens": 11 * 10**6},
    "usage in words": {"prompt_tokens": "many", "completion_tokens": "few", "total_tokens": "lots"},
    "no usage": None,
}
_UNREADABLE = {("negative usage", "lm15"), ("usage in words", "lm15"), ("usage in words", "litellm")}
"""Where the engine of dspy drops the whole reply for its usage."""


def _stage(part: Part, fault: Callable[[int], Outcome]) -> Stage:
    """A run in which only that part meets the fault, and the root not before its second turn."""
    if part == "root":
        return Stage({"root": lambda number: work("root", 1) if number == 1 else fault(number)})
    asks = {"sub": ASK_SUB, "child": ASK_CHILD}.get(part)
    if asks is None:
        return Stage({part: fault})
    return Stage({"root": lambda _: Reply(turn(asks)), part: fault})


def _interpreter(part: Part, engine: Engine) -> Callable[[], Any]:
    """A fault of the root's own calls meets no sandbox, so that one engine beside a real one is enough there."""
    return FakeInterpreter if part in ("root", "extract") and engine == "litellm" else Sandbox


def _run(
    stage: Stage, part: Part, engine: Engine, budget: Budget, interpreter: Callable[[], Any]
) -> tuple[Run, FatalError | None]:
    max_iters = 1 if part == "extract" else 3
    rlm = RLM(
        "context, query -> answer", max_depth=2, max_iters=max_iters, budget=budget, interpreter_factory=interpreter
    )
    with ModelServer(stage) as server:
        retries = 1 if stage.is_retried else 0
        with dspy.context(lm=lm(server, engine, timeout=1, num_retries=retries)):
            try:
                return rlm(context="c", query="q").run, None
            except FatalError as error:
                return error.partial, error


def _is_sound(run: Run, budget: Budget) -> bool:
    total = run.usage.total
    cost = total.cost_usd or 0.0
    assert 0 <= total.tokens < 10**6
    assert math.isfinite(cost)
    assert cost >= 0
    assert budget.tokens is None or total.tokens <= budget.tokens
    assert budget.cost_usd is None or cost <= budget.cost_usd
    return bool(run.events) and run.events[-1].tag == "run_finished"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("row", ROWS)
def test_fault(row: str, part: Part, engine: Engine) -> None:
    known = ROWS[row]
    stage = replace(_stage(part, lambda _: known.fault), is_retried=row == "429 with Retry-After" and engine == "lm15")
    run, error = _run(stage, part, engine, Budget(), _interpreter(part, engine))
    assert _is_sound(run, Budget())
    assert run.trajectory
    if part == "extract":
        assert error is not None
        assert "none could be drawn up" in str(error)
        assert run.termination_reason == "error"
        return
    assert error is None
    if part == "root":
        assert (run.outputs["answer"], run.termination_reason) == ("drawn up", known.root)
    elif part == "sub":
        assert (run.outputs["answer"], run.termination_reason) == (f"{known.sub}, {known.sub}", "submitted")
    else:
        assert run.outputs["answer"] == (known.child or "text: drawn up")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("row", WRONG_USAGE)
def test_usage(row: str, part: Part, engine: Engine) -> None:
    def lying(number: int) -> Outcome:
        return WrongUsage(WRONG_USAGE[row], text=work(part, number).text)

    stage = _stage(part, lying)
    run, error = _run(stage, part, engine, _BUDGET, _interpreter(part, engine))
    assert _is_sound(run, _BUDGET)
    if (row, engine) in _UNREADABLE:
        assert run.outputs.get("answer") in (None, "drawn up", "lm, lm", "lm")
        return
    answers = {"root": "42", "sub": "text: seven, seven", "child": "text: one", "extract": "drawn up"}
    assert error is None
    assert run.outputs["answer"] == answers[part]
    assert run.usage.by_role[part].tokens > 0  # an estimate
    assert any(event.tag == "lm_called" and getattr(event, "is_estimate", False) for event in run.events)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("row", [*ROWS, *WRONG_USAGE])
def test_fault_in_the_first_turn(row: str, engine: Engine) -> None:
    """There is nothing yet that an answer could be drawn from."""
    fault = ROWS[row].fault if row in ROWS else WrongUsage(WRONG_USAGE[row], text=work("root", 2).text)
    run, error = _run(Stage({"root": lambda _: fault}), "root", engine, Budget(), FakeInterpreter)
    assert _is_sound(run, Budget())
    if error is not None:
        assert (run.termination_reason, run.trajectory) == ("error", ())
        assert "first turn" in str(error)
    else:
        assert run.termination_reason in ("submitted", "max_iters")
