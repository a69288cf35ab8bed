"""What a run that was cut off has already done, handed out again in the order in which it is asked for."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

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
)
from rlm_module.sandbox.codec import decode


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
    equal one gets the nth answer.

    Args:
        events: In the order in which they were recorded; none for a new run.
    """

    def __init__(self, events: Iterable[AnyEvent]) -> None:
        self.last_call = self.last_node = self.calls = 0
        self.lm_calls: list[LMCalled] = []
        self.seconds = 0.0
        self._turns: dict[int, dict[int, RecordedTurn]] = defaultdict(dict)
        self._answers: dict[tuple[int, int, str, str], list[tuple[int, str]]] = defaultdict(list)
        self._children: dict[tuple[int, str], deque[tuple[int | None, int]]] = defaultdict(deque)
        self._extracted: dict[int, Extracted] = {}
        self._compacted: dict[int, list[Compacted]] = defaultdict(list)
        self._started: dict[int, CallStarted] = {}
        self._began: set[int] = set()
        self._since = self._at = 0.0
        for event in events:
            self._take(event)
        self.seconds += self._at - self._since
        for answers in self._answers.values():
            answers.sort(reverse=True)  # by the calls' numbers, the first one last, from where it is taken

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
        call, answer = answers.pop()
        children = self._children.get((node, key), deque())
        self._children[node, key] = deque(child for child in children if child[0] != call)
        outcome, value = decode(answer.encode())
        if outcome == "value":
            return (value,)
        return value if isinstance(value, SubcallError) else RecordedError(value)

    def child(self, parent: int, key: str) -> int | None:
        """The number of a child that a call had opened."""
        found = self._children.get((parent, key))
        return found.popleft()[1] if found else None

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
                started = self._started[event.call]
                self._answers[event.node, started.cell, event.function, started.key].append((event.call, event.answer))
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
        if event.parent is None:
            return
        # A child that was resumed itself began twice, the second time for another call.
        known = self._children[event.parent, event.key]
        others = (child for child in known if child[1] != event.node)
        self._children[event.parent, event.key] = deque([*others, (event.call, event.node)])
