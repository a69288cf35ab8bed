"""What a run that was cut off has already done, handed out again in the order in which it is asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from rlm_module.errors import RecordedError, SubcallError
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
    Resumed,
    RunFinished,
    RunStarted,
    Usage,
)
from rlm_module.lms.replies import Replies
from rlm_module.sandbox.codec import decode

_Equal: TypeAlias = "tuple[int, int, str, str]"
"""What equal calls share: node, cell, function and digest."""


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """A turn of which at least the LM's part was done.

    Args:
        acted: What the LM said.
        cell: What its cell did; None where the run was cut off before its end.
    """

    acted: Acted
    cell: CellFinished | None = None


class Recording:
    """The events of a run tree, by what they answer. A call is known by its node, cell, function and digest: the nth
    equal one gets the nth answer. One that has none, as it was cut off or is a batch, goes on under its number.

    Args:
        events: In the order in which they were recorded; none for a new run.
    """

    def __init__(self, events: Iterable[AnyEvent]) -> None:
        self.last_call = self.last_node = self.calls = 0
        self.lm_calls: list[LMCalled] = []
        self.seconds = 0.0
        self._turns: dict[int, dict[int, RecordedTurn]] = defaultdict(dict)
        self.replies = Replies()
        self._answers: dict[_Equal, list[tuple[int, str]]] = defaultdict(list)
        self._unanswered: dict[_Equal, list[int]] = defaultdict(list)
        self._children: dict[int, int] = {}
        self._extracted: dict[int, Extracted] = {}
        self._compacted: dict[int, list[Compacted]] = defaultdict(list)
        self._started: dict[int, CallStarted] = {}
        self._began: set[int] = set()
        self._since = self._at = 0.0
        for event in events:
            self._take(event)
        self.seconds += self._at - self._since
        answered = {call for answers in self._answers.values() for call, _ in answers}
        for started in self._started.values():
            if started.call not in answered:
                self._unanswered[_equal(started)].append(started.call)
        for known in (*self._answers.values(), *self._unanswered.values()):
            known.sort(reverse=True)  # by the calls' numbers, the first one last, from where it is taken
        self._spent = self._add_up()

    def began(self, node: int) -> bool:
        """Whether an RLM is on record."""
        return node in self._began

    def turn(self, node: int, turn: int) -> RecordedTurn | None:
        """What is known of a turn."""
        return self._turns[node].get(turn) if node in self._turns else None

    def turns(self, node: int) -> int:
        """How many turns of an RLM are known."""
        return len(self._turns.get(node, ()))

    def compacted(self, node: int, turn: int) -> list[Compacted]:
        """How the conversation was shortened before a turn."""
        return [event for event in self._compacted[node] if event.asked == turn]

    def answer(self, node: int, cell: int, function: str, key: str) -> tuple[Any] | Exception | None:
        """What a call got: its result in a tuple, or its error; None if it is not on record."""
        answers = self._answers.get((node, cell, function, key))
        if not answers:
            return None
        outcome, value = decode(answers.pop()[1].encode())
        if outcome == "value":
            return (value,)
        return value if isinstance(value, SubcallError) else RecordedError(value)

    def unanswered(self, node: int, cell: int, function: str, key: str) -> int | None:
        """The number of a call that was begun and has no answer; None if there is none."""
        calls = self._unanswered.get((node, cell, function, key))
        return calls.pop() if calls else None

    def spent(self, call: int) -> Usage:
        """What was used for a call, for its items and for a child that it opened."""
        return self._spent.get(call, Usage())

    def child(self, call: int) -> int | None:
        """The number of a child that a call had opened."""
        return self._children.get(call)

    def extracted(self, node: int) -> Extracted | None:
        """The answer that was drawn up."""
        return self._extracted.get(node)

    def forget(self, node: int, turn: int) -> None:
        """Drops the turns of a node after one that did not repeat itself."""
        self._turns[node] = {number: known for number, known in self._turns[node].items() if number <= turn}
        self._compacted[node] = [event for event in self._compacted[node] if event.asked <= turn]
        self._extracted.pop(node, None)

    def _take(self, event: AnyEvent) -> None:
        if isinstance(event, Resumed) or not self._since:
            self.seconds += self._at - self._since
            self._since = event.at
        self._at = event.at
        self.replies.learn(event)
        match event:
            case RunStarted():
                self._open(event)
            case RunFinished():
                pass
            case LMCalled():
                self.lm_calls.append(event)
                self.calls += event.role in ("sub", "child")
            case Acted():
                self._turns[event.node][event.turn] = RecordedTurn(event)
            case CellFinished() if event.turn in self._turns[event.node]:
                self._turns[event.node][event.turn] = RecordedTurn(self._turns[event.node][event.turn].acted, event)
            case CallStarted():
                self._started[event.call] = event
                self.last_call = max(self.last_call, event.call)
            case CallFinished() if event.answer is not None and event.call in self._started:
                self._answers[_equal(self._started[event.call])].append((event.call, event.answer))
            case Diverged():
                self.forget(event.node, event.turn)
            case Compacted():
                self._compacted[event.node].append(event)
            case Extracted():
                self._extracted[event.node] = event
            case _:
                pass

    def _open(self, event: RunStarted) -> None:
        self.last_node = max(self.last_node, event.node)
        self._began.add(event.node)
        if event.call is not None:
            self._children[event.call] = event.node

    def _add_up(self) -> Mapping[int, Usage]:
        spent: dict[int, Usage] = defaultdict(Usage)
        opened_by = {node: call for call, node in self._children.items()}
        for made in self.lm_calls:
            call = opened_by.get(made.node) if made.call is None else made.call
            while call is not None:
                spent[call] += made.usage
                started = self._started.get(call)
                above = None if started is None else started.batch or opened_by.get(started.node)
                call = above if above is not None and above < call else None
        return spent


def _equal(started: CallStarted) -> _Equal:
    return started.node, started.cell, started.function, started.key
