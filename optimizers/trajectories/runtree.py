"""A run tree as a reader goes through it: turns with what their cells called, and calls with prompt and reply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlm_module.events import (
    Acted,
    AnyEvent,
    CallFinished,
    CallStarted,
    CellFinished,
    Compacted,
    Diverged,
    Extracted,
    LMCalled,
    RunFinished,
    RunStarted,
    TurnStarted,
)

REFUSED = "SUBMIT was refused."
_SCAFFOLD = 4_000  # of a message in many parts


@dataclass(slots=True)
class ToldCall:
    """A call that generated code made.

    Args:
        started: Its beginning.
        finished: Its end; None where the run ended before.
        prompt: What an LM was asked for it, the last time; empty where none was.
        reply: What that LM answered.
        items: The calls that this one, a batch, consists of.
        child: The RLM that it opened.
    """

    started: CallStarted
    finished: CallFinished | None = None
    prompt: str = ""
    reply: str = ""
    items: list[ToldCall] = field(default_factory=list["ToldCall"])
    child: ToldNode | None = None

    @property
    def error(self) -> str | None:
        return self.finished.error if self.finished is not None else None

    @property
    def singles(self) -> list[ToldCall]:
        """The items of a batch, or itself."""
        return self.items or [self]


@dataclass(slots=True)
class ToldTurn:
    """A turn of an RLM.

    Args:
        number: From 1.
        acted: What its LM said; None where it failed.
        cell: What its code did; None where none was run.
        calls: Those that its cell made.
        errors: Of LM calls that failed.
        is_compacted: Whether the conversation was shortened before it.
    """

    number: int
    acted: Acted | None = None
    cell: CellFinished | None = None
    calls: list[ToldCall] = field(default_factory=list[ToldCall])
    errors: list[str] = field(default_factory=list[str])
    is_compacted: bool = False

    @property
    def failed(self) -> bool:
        return self.acted is None or not self.acted.code.strip() or (self.cell is not None and self.cell.failed)

    @property
    def needs_attention(self) -> bool:
        return self.failed or any(one.error for call in self.calls for one in call.singles)


@dataclass(slots=True)
class ToldNode:
    """An RLM of the tree."""

    started: RunStarted | None = None
    turns: dict[int, ToldTurn] = field(default_factory=dict[int, ToldTurn])
    finished: RunFinished | None = None
    extracted: Extracted | None = None

    @property
    def current(self) -> ToldTurn:
        """The turn that is under way."""
        if not self.turns:
            self.turns[1] = ToldTurn(1)
        return next(reversed(self.turns.values()))


def told(events: Iterable[AnyEvent]) -> ToldNode:
    """The root of a run, ended or not; where a resumed run did something again, the last time counts."""
    nodes: dict[int, ToldNode] = {0: ToldNode()}
    calls: dict[int, ToldCall] = {}
    for event in events:
        node = nodes.setdefault(event.node, ToldNode())
        match event:
            case RunStarted():
                node.started = event
                if event.call in calls and event.node:
                    calls[event.call].child = node
            case TurnStarted():
                is_compacted = event.turn in node.turns and node.turns[event.turn].is_compacted
                node.turns.pop(event.turn, None)
                node.turns[event.turn] = ToldTurn(event.turn, is_compacted=is_compacted)
            case Acted():
                _turn(node, event.turn).acted = event
            case CellFinished():
                _turn(node, event.turn).cell = event
            case Compacted():
                _turn(node, event.asked or event.turn + 1).is_compacted = True
            case Diverged():
                node.turns = {number: turn for number, turn in node.turns.items() if number <= event.turn}
            case CallStarted() | CallFinished() | LMCalled():
                _take_call(node, calls, event)
            case Extracted():
                node.extracted = event
            case RunFinished():
                node.finished = event
            case _:
                pass
    return nodes[0]


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a chat message."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, (list, tuple)) else ()
    return "\n".join(str(part.get("text", ""))[:_SCAFFOLD] for part in parts if isinstance(part, Mapping))


def code_key(code: str) -> str:
    """What two cells that do the same thing have in common: their code without comments and blanks."""
    lines = (line.strip() for line in code.splitlines())
    return "\n".join(" ".join(line.split()) for line in lines if line and not line.startswith("#"))


def error_line(cell: CellFinished) -> str:
    """The line of a failed cell's output that names the error."""
    return next((line.strip() for line in reversed(cell.output[-2_000:].splitlines()) if line.strip()), "")


def _turn(node: ToldNode, number: int) -> ToldTurn:
    return node.turns.setdefault(number, ToldTurn(number))


def _take_call(node: ToldNode, calls: dict[int, ToldCall], event: CallStarted | CallFinished | LMCalled) -> None:
    call = calls.get(event.call) if event.call is not None else None
    match event:
        case CallStarted():
            calls[event.call] = call = ToldCall(event)
            batch = calls.get(event.batch) if event.batch is not None else None
            (node.current.calls if batch is None or batch is call else batch.items).append(call)
        case CallFinished() if call is not None:
            call.finished = event
        case LMCalled(role="root" | "child", error=str(error)):
            node.current.errors.append(error)
        case LMCalled(role="sub") if call is not None:
            call.prompt = text_of(event.messages[-1]) if event.messages else call.prompt
            call.reply = event.reply
        case _:
            pass
