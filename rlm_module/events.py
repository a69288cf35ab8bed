"""What happens in a run, as frozen tagged values; trajectory, displays and (later) the journal on disk are views of it.

Times are Unix seconds (`at`) and durations seconds. Text is bounded where it is made: code and output as the model saw
them, prompts and answers of sub-calls whole. No credential is ever part of an event.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

Role = Literal["root", "sub", "extract", "tool"]
TerminationReason = Literal["submitted", "max_iters", "error", "cancelled"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money of LM calls; a call answered from the LM's cache counts in `cached_calls` and costs nothing.

    Args:
        calls: LM calls made, cached ones included.
        cost_usd: None as soon as one call's price is unknown.
    """

    calls: int = 0
    cached_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        known = self.cost_usd is not None and other.cost_usd is not None
        return Usage(
            calls=self.calls + other.calls,
            cached_calls=self.cached_calls + other.cached_calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events.

    Args:
        run_id: The root run it belongs to.
    """

    tag: ClassVar[str] = "event"
    run_id: str
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run began; `inputs` maps each input's name to a one-line description of its type and size."""

    tag: ClassVar[str] = "run_started"
    task: str
    inputs: Mapping[str, str]
    max_iters: int
    max_llm_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted(Event):
    """The root LM is being asked for turn `turn` (from 1)."""

    tag: ClassVar[str] = "turn_started"
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted(Event):
    """The root LM answered; `code` is empty where its reply held none."""

    tag: ClassVar[str] = "acted"
    turn: int
    reasoning: str
    code: str
    seconds: float
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFinished(Event):
    """The turn's cell ran; `output` is what the model is shown next."""

    tag: ClassVar[str] = "cell_finished"
    turn: int
    output: str
    failed: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(Event):
    """Generated code called `function` on the host: a sub-LM, a sub-agent or a tool; `call` numbers the run's calls."""

    tag: ClassVar[str] = "call_started"
    call: int
    cell: int
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished(Event):
    """The call ended; `error` is None where it succeeded. `usage` is that of the LM calls made for it."""

    tag: ClassVar[str] = "call_finished"
    call: int
    function: str
    seconds: float
    error: str | None
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run ended."""

    tag: ClassVar[str] = "run_finished"
    reason: TerminationReason
    outputs: Mapping[str, Any]
    seconds: float
    usage: Usage


AnyEvent: TypeAlias = RunStarted | TurnStarted | Acted | CellFinished | CallStarted | CallFinished | RunFinished
