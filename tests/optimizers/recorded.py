"""Made-up runs, as events: what a run would have recorded, without running it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlm_module.events import (
    Acted,
    AnyEvent,
    CallFinished,
    CallStarted,
    CellFinished,
    Extracted,
    LMCalled,
    RunFinished,
    RunStarted,
    TerminationReason,
    TurnStarted,
    Usage,
)

PAID = Usage(calls=1, prompt_tokens=100, completion_tokens=20, cost_usd=0.01)


@dataclass
class Sub:
    """A sub-call: what it was asked, and its reply or its error."""

    prompt: str
    reply: str = ""
    error: str | None = None


@dataclass
class Cell:
    """A turn: its code, what it printed, and what it called."""

    code: str
    output: str = ""
    failed: bool = False
    reasoning: str = "Go on."
    subs: Sequence[Sub] = field(default_factory=list[Sub])


def run_of(
    cells: Sequence[Cell],
    *,
    task: str = "Answer the query.",
    inputs: dict[str, str] | None = None,
    reason: TerminationReason = "submitted",
    outputs: dict[str, Any] | None = None,
    is_drawn_up: bool = False,
) -> tuple[AnyEvent, ...]:
    """The events of a run of these cells."""
    return tuple(_events(cells, task, inputs or {}, reason, outputs or {"answer": "a"}, is_drawn_up))


def _events(
    cells: Sequence[Cell],
    task: str,
    inputs: dict[str, str],
    reason: TerminationReason,
    outputs: dict[str, Any],
    is_drawn_up: bool,
) -> Iterator[AnyEvent]:
    yield RunStarted(
        run_id="r", at=1.0, task="QA", fields="context -> answer", inputs=inputs, max_iters=20, max_llm_calls=50
    )
    request, call = f"{task}\n\n[Turn 1 of 20. Sub-LM calls left: 50 of 50.]", 0
    for number, cell in enumerate(cells, 1):
        yield TurnStarted(run_id="r", at=1.0, turn=number)
        yield _asked("root", None, request, cell.code)
        yield Acted(
            run_id="r",
            at=1.0,
            turn=number,
            request=request,
            reasoning=cell.reasoning,
            code=cell.code,
            seconds=0.1,
            usage=PAID,
        )
        first = call = call + 1
        if cell.subs:
            yield CallStarted(run_id="r", at=1.0, call=first, cell=number - 1, function="llm_query_batched")
        for sub in cell.subs:
            call += 1
            yield CallStarted(run_id="r", at=1.0, call=call, cell=number - 1, function="llm_query", batch=first)
            yield _asked("sub", call, sub.prompt, sub.reply)
            yield CallFinished(
                run_id="r", at=1.0, call=call, function="llm_query", seconds=0.1, error=sub.error, usage=PAID
            )
        if cell.code:
            yield CellFinished(run_id="r", at=1.0, turn=number, output=cell.output, failed=cell.failed, seconds=0.1)
        request = f"{cell.output}\n\n[Turn {number + 1} of 20. Sub-LM calls left: 50 of 50.]"
    if is_drawn_up:
        yield Extracted(run_id="r", at=1.0, reason=reason, outputs=outputs)
    yield RunFinished(run_id="r", at=2.0, reason=reason, outputs=outputs, seconds=1.0, usage=PAID)


def _asked(role: Any, call: int | None, prompt: str, reply: str) -> LMCalled:
    return LMCalled(
        run_id="r",
        at=1.0,
        role=role,
        depth=0,
        call=call,
        model="m",
        messages=({"role": "user", "content": prompt},),
        reply=reply,
        usage=PAID,
        seconds=0.1,
    )


def words(count: int, seed: int = 0) -> str:
    """Text in which hardly any piece occurs twice."""
    chance = random.Random(seed)
    lines = ("".join(chance.choice("abcdefghijklmnopqrstuvwxyz ") for _ in range(60)) for _ in range(count // 61 + 1))
    return "\n".join(lines)[:count]
