"""A run as a tree of RLMs, built from its events: what each did, how long it took and what it spent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlm_module.errors import InputError
from rlm_module.events import (
    Acted,
    AnyEvent,
    CallFinished,
    CallStarted,
    CellFinished,
    Diverged,
    Extracted,
    LMCalled,
    Resumed,
    RunFinished,
    RunStarted,
    Scored,
    TerminationReason,
    TurnStarted,
    Usage,
)


@dataclass(slots=True)
class Turn:
    """One turn of an RLM; `cell` is None where its code did not end, or there was none."""

    number: int
    acted: Acted | None = None
    cell: CellFinished | None = None


@dataclass(slots=True)
class Call:
    """A call that generated code made; `finished` is None where the run was cut off before."""

    started: CallStarted
    finished: CallFinished | None = None


@dataclass(slots=True)
class Node:
    """An RLM of the tree.

    Args:
        started: Its beginning: task, parent and depth, among others.
        parent: The node above it; None for the root.
        turns: By number.
        calls: Those that its cells made, by number.
        children: The nodes below it, in the order in which they began.
        own: What its own LM calls used: its turns and its sub-calls.
        total: That and what the nodes below it used.
        ended: How it ended; None for one that was cut off.
        outputs: Its answer; empty where there is none.
        last_at: When something last happened in it, in Unix seconds.
    """

    started: RunStarted
    parent: int | None
    turns: dict[int, Turn] = field(default_factory=dict[int, Turn])
    calls: dict[int, Call] = field(default_factory=dict[int, Call])
    children: list[int] = field(default_factory=list[int])
    own: Usage = field(default_factory=Usage)
    total: Usage = field(default_factory=Usage)
    ended: RunFinished | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    last_at: float = 0.0

    @property
    def reason(self) -> TerminationReason | None:
        return self.ended.reason if self.ended else None

    @property
    def seconds(self) -> float:
        """Wall time; of a node that was cut off, up to the last that is known of it."""
        return self.ended.seconds if self.ended else max(0.0, self.last_at - self.started.at)


@dataclass(slots=True)
class RunTree:
    """All nodes of a run, by number, in the order in which they began; 0 is the root.

    Args:
        run_id: The run's.
        nodes: The RLMs.
        score: The last one that somebody gave it.
        resumed: How often it was resumed.
    """

    run_id: str
    nodes: dict[int, Node]
    score: float | None = None
    resumed: int = 0

    @property
    def root(self) -> Node:
        return self.nodes[0]

    @property
    def calls(self) -> int:
        """How many calls generated code made, a batch being as many as it has items."""
        calls = [call for node in self.nodes.values() for call in node.calls.values()]
        batches = {call.started.batch for call in calls}
        return sum(call.started.call not in batches for call in calls)


def build_tree(events: Iterable[AnyEvent]) -> RunTree:
    """The tree of a run, ended or not.

    Where a resumed run did something again, the last time counts, but what was spent is added up over all of them.

    Raises:
        InputError: If the events do not tell of a root run.
    """
    building = _Building()
    for event in events:
        building.take(event)
    if 0 not in building.nodes:
        raise InputError("this record holds no run; it was cut off before its first event, so delete its folder.")
    return building.tree()


class _Building:
    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self._spent: dict[int, Usage] = {}
        self._score: float | None = None
        self._resumed = 0
        self._run_id = ""

    def take(self, event: AnyEvent) -> None:
        self._run_id = self._run_id or event.run_id
        match event:
            case RunStarted():
                self._start(event)
            case LMCalled():
                self._spent[event.node] = self._spent.get(event.node, Usage()) + event.usage
            case Scored():
                self._score = event.score
                return  # judging a run is no part of its time
            case Resumed():
                self._resumed += 1
            case _:
                pass
        node = self.nodes.get(event.node)
        if node is not None:
            node.last_at = max(node.last_at, event.at)
            _take(node, event)

    def tree(self) -> RunTree:
        nodes = {number: self.nodes[number] for number in sorted(self.nodes)}
        for number, used in self._spent.items():
            home = nodes.get(number, nodes[0])
            home.own += used
        for number, node in reversed(nodes.items()):
            node.total += node.own
            if node.parent is not None:
                parent = nodes[node.parent]
                parent.total += node.total
                parent.children.insert(0, number)
        return RunTree(self._run_id, nodes, self._score, self._resumed)

    def _start(self, event: RunStarted) -> None:
        if event.node in self.nodes:
            self.nodes[event.node].started = event
        elif event.node >= 0:
            # A node begins after its parent; a record that says otherwise must not send anybody in circles.
            known = event.parent is not None and event.parent in self.nodes and event.parent < event.node
            parent = (event.parent if known else 0) if event.node else None
            self.nodes[event.node] = Node(started=event, parent=parent)


def _take(node: Node, event: AnyEvent) -> None:
    match event:
        case TurnStarted():
            node.turns[event.turn] = Turn(event.turn)
        case Acted():
            node.turns[event.turn] = Turn(event.turn, event)
        case CellFinished():
            node.turns.setdefault(event.turn, Turn(event.turn)).cell = event
        case CallStarted():
            node.calls[event.call] = Call(event)
        case CallFinished() if event.call in node.calls:
            node.calls[event.call].finished = event
        case Extracted():
            node.outputs = event.outputs
        case Resumed():
            node.ended = None
        case Diverged():
            node.turns = {number: turn for number, turn in node.turns.items() if number <= event.turn}
        case RunFinished():
            node.ended, node.outputs = event, event.outputs
        case _:
            pass


@dataclass(frozen=True, slots=True)
class CallGroup:
    """The calls of one function within a node, a batch being one call.

    Args:
        function: Its name.
        calls: How many.
        items: How many items its batches had.
        failed: How many calls (of a batch, items) failed, by kind.
        unfinished: How many had not ended when the run was cut off.
        seconds: Their time added up; calls that ran at once count in full each.
        usage: What was used for them.
    """

    function: str
    calls: int
    items: int
    failed: Mapping[str, int]
    unfinished: int
    seconds: float
    usage: Usage


def group_calls(node: Node) -> Iterator[CallGroup]:
    """The calls of a node by function, in the order of each function's first."""
    items: dict[int, list[Call]] = {}
    groups: dict[str, list[Call]] = {}
    for call in node.calls.values():
        batch = call.started.batch
        if batch is not None and batch in node.calls and batch != call.started.call:
            items.setdefault(batch, []).append(call)
        else:
            groups.setdefault(call.started.function, []).append(call)
    for function, calls in groups.items():
        single = [one for call in calls for one in items.get(call.started.call, [call])]
        failed: dict[str, int] = {}
        for call in single:
            if call.finished is not None and call.finished.error is not None:
                kind = _kind(call.finished.error)
                failed[kind] = failed.get(kind, 0) + 1
        ended = [call.finished for call in calls if call.finished is not None]
        yield CallGroup(
            function=function,
            calls=len(calls),
            items=sum(len(items.get(call.started.call, ())) for call in calls),
            failed=failed,
            unfinished=sum(call.finished is None for call in single),
            seconds=sum(event.seconds for event in ended),
            usage=sum((event.usage for event in ended), Usage()),
        )


def _kind(error: str) -> str:
    """The word that an error's text begins with, which names its kind."""
    word = error.partition(":")[0].strip()
    return word if word.replace(".", "").replace("_", "").isalnum() and len(word) <= 40 else "error"
