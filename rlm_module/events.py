"""What happens in a run tree, as frozen tagged values; trajectory, displays and the journal on disk are views of it.

Times are Unix seconds (`at`) and durations seconds. What was paid for is kept whole: prompts and replies of LM calls,
answers of host calls. Code and output are as the model saw them. No credential is ever part of an event.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

Role = Literal["root", "sub", "child", "extract", "tool", "other"]
"""What an LM call is for: turns of the root, sub-calls, turns of child RLMs, drawing up an answer, a tool, or something
outside of any run that shares a budget with runs."""
TerminationReason = Literal[
    "submitted", "max_iters", "budget:cost", "budget:tokens", "budget:seconds", "budget:calls", "error", "cancelled"
]


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
        node: The RLM of the run tree it belongs to: 0 for the root, children in the order in which they began.
    """

    tag: ClassVar[str] = "event"
    run_id: str
    node: int = 0
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """An RLM of the tree began.

    Args:
        task: Its signature's name.
        instructions: Its signature's instructions.
        fields: Its signature as a string, such as "context: str -> answer: str".
        inputs: Each input's name with a one-line description of its type and size.
        stored: Each input's name with the hash under which the journal on disk holds it; empty without one.
        settings: What has to be equal for the run to be resumed: limits, names of tools and models.
        parent: The node whose call opened it; None for the root.
        call: The number of that call.
        key: Digest of that call.
        depth: 0 for the root.
    """

    tag: ClassVar[str] = "run_started"
    task: str
    instructions: str = ""
    fields: str = ""
    inputs: Mapping[str, str]
    stored: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    max_iters: int
    max_llm_calls: int
    parent: int | None = None
    call: int | None = None
    key: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted(Event):
    """The root LM is being asked for turn `turn` (from 1)."""

    tag: ClassVar[str] = "turn_started"
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LMCalled(Event):
    """An LM call ended; the sum over these is what the run spent.

    Args:
        role: What it was for.
        depth: That of the RLM that made it, or for which it was made.
        call: The host call it was made for; None for turns and extraction.
        model: The LM's name.
        messages: The chat messages that were sent, without the first `shared` ones.
        shared: How many leading messages are those of the call of the same node and role before this one.
        reply: The text that came back.
        usage: What it used.
        seconds: How long it took, waiting for the ledger and retries included.
        error: None where it succeeded.
        attempts: How often it was tried. What a `dspy.LM` tries again by itself counts as one.
        is_estimate: Whether the usage is an estimate, since the provider told none that can be true.
        key: Digest of the request, by which a resumed run knows it again; empty where its reply cannot be given again.
        answer: What the LM returned where that is more than the text of `reply`, as the text of `sandbox.codec`.
    """

    tag: ClassVar[str] = "lm_called"
    role: Role
    depth: int
    call: int | None
    model: str
    messages: tuple[Mapping[str, Any], ...]
    shared: int = 0
    reply: str
    usage: Usage
    seconds: float
    error: str | None = None
    attempts: int = 1
    is_estimate: bool = False
    key: str = ""
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted(Event):
    """The root LM answered; `code` is empty where its reply held none.

    Args:
        request: What it was asked, word for word.
        language: The language its code was marked as, where that is not Python.
    """

    tag: ClassVar[str] = "acted"
    turn: int
    request: str = ""
    reasoning: str
    code: str
    language: str | None = None
    seconds: float
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFinished(Event):
    """The turn's cell ran; `output` is what the model is shown next.

    Args:
        failed: Whether it raised, was stopped, or submitted what was refused.
        seconds: Wall time.
        ended: How: by itself, interrupted at its limit, or with the sandbox killed.
        unused: Calls that were started early and that the cell then did not ask for.
        clock: What it read of the clocks, in base64; a resumed run reads the same.
    """

    tag: ClassVar[str] = "cell_finished"
    turn: int
    output: str
    failed: bool
    seconds: float
    ended: Literal["completed", "interrupted", "killed"] = "completed"
    unused: int = 0
    clock: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(Event):
    """Generated code called `function` on the host: a sub-LM, a child RLM, a sub-agent or a tool.

    Args:
        call: Numbers the calls of the run tree.
        cell: Index of the node's cell that made it.
        key: Digest of function and arguments.
        batch: The call that this one is an item of.
        arguments: What it was called with, shortened.
    """

    tag: ClassVar[str] = "call_started"
    call: int
    cell: int
    function: str
    key: str = ""
    batch: int | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished(Event):
    """The call ended.

    Args:
        error: None where it succeeded; for a batch, how many items failed.
        usage: That of all LM calls made for it, a child's included.
        answer: What generated code got, as the text of `sandbox.codec`: `["value", …]` or `["error", …]`. None for a
            call that was cancelled, not used or kept from being made by the run's end, and for one that a resumed run
            makes again in any case, as it does a batch, which is the sum of its items.
    """

    tag: ClassVar[str] = "call_finished"
    call: int
    function: str
    seconds: float
    error: str | None
    usage: Usage
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted(Event):
    """The conversation had outgrown the LM's window: turns up to `turn` are shown as `summary` from now on.

    Args:
        turn: 0 where no turn is, and requests alone were cut.
        summary: What the LM drew up, or what was made by rule.
        asked: The turn before whose request it was done.
        longest: Characters to which the requests of later turns were cut; None for none.
    """

    tag: ClassVar[str] = "compacted"
    turn: int
    summary: str
    asked: int = 0
    longest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted(Event):
    """An answer was drawn up from the record of a run that submitted none."""

    tag: ClassVar[str] = "extracted"
    reason: TerminationReason
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """A run that had been cut off goes on, after `turns` recorded turns of its root."""

    tag: ClassVar[str] = "resumed"
    turns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diverged(Event):
    """A replayed turn did not do what the record says; the run went on live from there."""

    tag: ClassVar[str] = "diverged"
    turn: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Event):
    """Somebody judged the run's answer; the last score counts."""

    tag: ClassVar[str] = "scored"
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The RLM ended.

    Args:
        reason: Why.
        outputs: The answer; empty where there is none.
        seconds: Wall time.
        usage: That of it and of all below it.
        met_shared_limit: Whether it ended for want of money or tokens that several runs share.
    """

    tag: ClassVar[str] = "run_finished"
    reason: TerminationReason
    outputs: Mapping[str, Any]
    seconds: float
    usage: Usage
    met_shared_limit: bool = False


AnyEvent: TypeAlias = (
    RunStarted
    | TurnStarted
    | LMCalled
    | Acted
    | CellFinished
    | CallStarted
    | CallFinished
    | Compacted
    | Extracted
    | Resumed
    | Diverged
    | Scored
    | RunFinished
)
