"""Running ahead: calls of coming iterations are started while the program still waits for an earlier one.

A loop or comprehension runs as it is written, in its one thread. While it does, coming iterations are simulated
(`foresight/`), and what they will ask of the host is started early, at most `Setup.ahead` calls at a time. When the
program makes a call whose request is the same as that of one that was started, it gets that one's answer; otherwise
it makes the call itself. So a wrong guess can cost a call, never change a result.

Started early are calls of host functions marked `ahead`
- in `for` statements and in comprehensions, nested ones too, and in generator expressions that `list`, `tuple`, `set`,
  `dict`, `sorted`, `sum`, `max`, `min` or `str.join` consume whole,
- directly or through functions and lambdas that cells define; predictors of `dspy` under the names of variables, or
  made right there,
- whose arguments follow from the loop's variable and from names that no iteration assigns or may change, by f-strings,
  operators, subscripts, conditions, comprehensions, and functions and methods of builtin types, `re` and `json` that
  change nothing.

Not started early are
- calls whose arguments depend on another call's answer, on a name that the loop assigns before it is assigned in the
  same iteration, or on an object that an iteration may change, under whatever name: a running summary, a history,
- calls behind a condition on such a value,
- everything in a loop that may end early (`break`, `return`, `raise`, `assert`, `yield`, `await`, SUBMIT, also in the
  functions it calls), iterates what can be iterated only once (files, generators of other modules), or calls methods of
  classes that cells define or functions whose text is not known; in `while` loops; while other tasks run.

A call in a `try` is taken to succeed. When a loop ends, or asks for something else than was foreseen, what was started
and not asked for is cancelled and counted as `unused`; after a wrong guess the loop goes on without any.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from rlm_module.sandbox.guest.foresight import purity
from rlm_module.sandbox.guest.foresight.effects import HOOK, Function, Loop, bodies_of, callers, loops_of, makers, wrap
from rlm_module.sandbox.guest.foresight.foresee import Foresight
from rlm_module.sandbox.guest.foresight.purity import Effort, Unforeseen
from rlm_module.sandbox.guest.foresight.scope import Scope, makes_host_functions
from rlm_module.sandbox.guest.foresight.survey import survey
from rlm_module.sandbox.guest.host_function import HostFunction

MOST = 256
"""Calls that may be started and not asked for at most, whatever the session wants."""

_FIRST_STEPS, _STEPS_PER_CALL = 20_000, 2_000
_MOST_CHARS = 48 << 20


@dataclass(slots=True, eq=False)
class _Started:
    """A call that was started and not asked for yet."""

    id: int
    request: str
    run: Run
    index: int


class Ahead:
    """All running ahead of a session.

    Args:
        start: Starts a call of the host and returns its id.
        drop: Gives up a call that was started.
        free: Whether Python may wait for a promise now, and nothing else runs that a wait would let go on.
    """

    def __init__(self, start: Callable[[str], int], drop: Callable[[int], None], free: Callable[[], bool]) -> None:
        self._start, self._drop, self.free = start, drop, free
        self.limit = 0
        self.unused = 0
        self.namespace: dict[str, Any] = {}
        self._loops: list[Loop] = []
        self._sharing: set[int] = set()  # loops that others run in
        self._bodies: dict[tuple[str, int, str], Function | None] = {}
        self._reaching: set[str] = set()
        self._makers: set[str] = set()
        self._started: dict[str, deque[_Started]] = {}
        self._count = self._chars = 0
        self._runs: list[Run] = []

    def begin_cell(self) -> None:
        """Forgets what the cell before left."""
        self._started, self._runs = {}, []
        self._count = self._chars = self.unused = 0

    def end_cell(self) -> None:
        """Gives up whatever is still outstanding."""
        for run in reversed(self._runs):
            run.stop()
        self._runs = []

    # Cells, when they are compiled.

    def prepare(self, tree: ast.Module, filename: str) -> None:
        """Puts the hook around the loops of a cell that may make calls ahead, and keeps the texts of its functions."""
        if self.limit < 1:
            return
        reaching = {name for name, value in self.namespace.items() if isinstance(value, HostFunction)}
        reaching = {name for name in reaching if self.namespace[name].ahead} | self._reaching
        self._keep_bodies(tree, filename)
        self._makers |= {name for name, value in self.namespace.items() if makes_host_functions(value)}
        self._makers, made = makers(tree, self._makers)
        reaching |= self._makers | made
        if not reaching:
            return
        self._reaching |= callers(tree, reaching)
        reaching |= self._reaching
        found = [loop for loop in loops_of(tree) if loop.facts.loads & reaching]
        nodes = {id(loop.node) for loop in found}
        for loop in found:
            if any(id(node) in nodes for node in ast.walk(loop.node) if node is not loop.node):
                self._sharing.add(len(self._loops))
            wrap(loop, len(self._loops))
            self._loops.append(loop)
        setattr(builtins, HOOK, self._enter)
        setattr(builtins, HOOK + "scope__", locals)

    def _keep_bodies(self, tree: ast.Module, filename: str) -> None:
        for line, name, node in bodies_of(tree):
            key = filename, line, name
            self._bodies[key] = None if key in self._bodies else node  # two on a line cannot be told apart

    def body_of(self, code: CodeType) -> Function | None:
        """The text of a function that a cell defined."""
        return self._bodies.get((code.co_filename, code.co_firstlineno, code.co_name))

    # Loops, when they run.

    def _enter(self, iterable: Any, number: int, names: Mapping[str, Any]) -> Any:
        """What a loop iterates instead of its iterable: the same items, with calls started in between."""
        loop = self._loops[number]
        kind = type(iterable)
        if self.limit < 1 or any(run.covers for run in self._runs) or not self.free():
            return iterable
        if names is not self.namespace:
            names = {name: names[name] for name in _needed(loop) if name in names}
        scope = Scope(names, self.namespace, self.body_of)
        if not survey(loop, scope) or id(iterable) in scope.spoiled:
            return iterable
        foresight = Foresight(loop, scope, Effort(_FIRST_STEPS), max(2 * self.limit, 8))
        coming = iter(iterable) if kind in purity.ITERATED else foresight.items()
        if coming is None or (kind not in purity.ITERATED and not hasattr(kind, "__next__")):
            return iterable
        self._sharing.update(run.number for run in self._runs)
        covered = Counter(request for run in self._runs for request in run.outstanding())
        run = Run(self, number, foresight, coming, covered)
        self._runs.append(run)
        return _steps(iter(iterable), run)

    def leave(self, run: Run) -> None:
        """A loop is over."""
        run.stop()
        if run in self._runs:
            self._runs.remove(run)

    # Calls.

    def has_room(self, run: Run) -> bool:
        """Whether the loop may start one more call; loops inside a loop find half of what is left."""
        most = self.limit - self.limit // 2 if run.was_partial and run.number in self._sharing else self.limit
        return self._count < self.limit and len(run.started) < most and self._chars < _MOST_CHARS

    def start(self, request: str, run: Run, index: int) -> None:
        """Starts a call early."""
        started = _Started(self._start(request), request, run, index)
        self._started.setdefault(request, deque()).append(started)
        run.started.append(started)
        self._count += 1
        self._chars += len(request)

    def take(self, request: str) -> _Started | None:
        """The call that was started early for this request, which the program makes now."""
        waiting = self._started.get(request)
        if not waiting:
            for run in self._runs:
                if run.forget(request):
                    break
            return None
        started = waiting[0]
        self._remove(started)
        return started

    @property
    def is_running(self) -> bool:
        """Whether a loop runs that may have started calls."""
        return bool(self._runs)

    def failed(self) -> None:
        """A call that the program made failed."""
        for run in self._runs:
            run.raised()

    def give_up(self, started: _Started) -> None:
        """Drops a call that will not be asked for."""
        self._remove(started)
        self.unused += 1
        self._drop(started.id)

    def _remove(self, started: _Started) -> None:
        waiting = self._started.get(started.request)
        if waiting is None or started not in waiting:
            return
        waiting.remove(started)
        if not waiting:
            del self._started[started.request]
        started.run.started.remove(started)
        self._count -= 1
        self._chars -= len(started.request)


class Run:
    """One loop that runs, and how far ahead of it the simulation is.

    Args:
        ahead: The session's.
        number: Which loop it is.
        foresight: Simulates its iterations.
        coming: The coming items, apart from those of the loop itself.
        covered: Requests that an outer loop has foreseen already.
    """

    def __init__(
        self, ahead: Ahead, number: int, foresight: Foresight, coming: Iterator[Any], covered: Counter[str]
    ) -> None:
        self.number = number
        self._ahead, self._foresight, self._coming, self._covered = ahead, foresight, coming, covered
        self._index = -1
        self._next = 0
        self._planned: deque[tuple[int, str]] = deque()
        self._partial: set[int] = set()
        self._raised = -1
        self._open = True
        self._ended = False
        self.was_partial = False
        self.started: list[_Started] = []

    @property
    def covers(self) -> bool:
        """Whether all calls of the current iteration are foreseen, so that loops in it need not look ahead."""
        return self._open and self._next > self._index and self._index not in self._partial

    def outstanding(self) -> list[str]:
        """Requests of the current iteration that are foreseen and not made yet."""
        planned = [request for index, request in self._planned if index == self._index]
        return planned + [started.request for started in self.started if started.index == self._index]

    def step(self) -> None:
        """The next iteration begins."""
        left = self._planned[0][0] if self._planned else self._index + 1
        left = min([left, *(started.index for started in self.started)])
        self._index += 1
        if left < self._index:
            if self._raised != left:
                self.stop()
                return
            self._discard(left)
        self._partial.discard(self._index - 1)
        self.pump(at_start=True)

    def pump(self, at_start: bool = False) -> None:
        """Starts calls while there is room."""
        if not self._open or not self._ahead.free():
            return
        while self._ahead.has_room(self):
            if self._planned:
                index, request = self._planned.popleft()
                self._ahead.start(request, self, index)
            elif self._ended or not self._foresee(at_start):
                break

    def _foresee(self, at_start: bool) -> bool:
        """Simulates one more iteration; False if there is none, or if the one before is not wholly foreseen."""
        first = self._index if at_start else self._index + 1
        if self._next > max(self._index, 0) and self._foresight.is_full:
            return False
        try:
            while True:
                item = next(self._coming)
                index, self._next = self._next, self._next + 1
                if index >= first:
                    self._plan(index, self._foresight.iteration(item))
                    return True
        except StopIteration:
            self._ended = True
        except (Unforeseen, RuntimeError):  # the latter: what is iterated changed its size
            self._partial.add(self._next - 1)
            self._ended = True
        return False

    def _plan(self, index: int, requests: list[str]) -> None:
        if self._foresight.partial:
            self._partial.add(index)
            self.was_partial = True
        for request in requests:
            if self._covered[request] > 0:
                self._covered[request] -= 1
            else:
                self._planned.append((index, request))

    def asked(self) -> None:
        """The program asks for a call that was started."""
        self._foresight.earn(_STEPS_PER_CALL)
        self.pump()

    def raised(self) -> None:
        """A call failed: what was foreseen of this iteration may not be asked for."""
        self._raised = self._index

    def forget(self, request: str) -> bool:
        """The program makes a call that was foreseen but not started."""
        for planned in self._planned:
            if planned[1] == request:
                self._planned.remove(planned)
                return True
        return False

    def stop(self) -> None:
        """Looks ahead no more, and gives up what was started."""
        self._open = False
        self._planned.clear()
        for started in list(self.started):
            self._ahead.give_up(started)

    def _discard(self, index: int) -> None:
        while self._planned and self._planned[0][0] <= index:
            self._planned.popleft()
        for started in [started for started in self.started if started.index <= index]:
            self._ahead.give_up(started)

    def close(self) -> None:
        self._ahead.leave(self)


def _steps(items: Iterator[Any], run: Run) -> Iterator[Any]:
    try:
        for item in items:
            run.step()
            yield item
    finally:
        run.close()


def _needed(loop: Loop) -> set[str]:
    """Names that simulating a loop may read."""
    return loop.facts.loads | {node.id for node in ast.walk(loop.items) if isinstance(node, ast.Name)}
