"""Many threads that call simulated LMs at once, in an order that a seed decides and no clock."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from rlm_module.lms.ledger import Hold, Ledger, Need


class Stage:
    """Knows of each of its threads whether it runs, waits for the ledger, or is inside an LM. Only when none runs any
    more does one of those inside an LM get its reply: so as many are inside at once as the ledger lets in.

    Args:
        seed: Decides whose reply comes next.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._lock = threading.RLock()
        self._running = self._parked = 0
        self._inside: list[threading.Event] = []
        self.peak = 0
        self.is_stuck = False

    def play(self, parts: Sequence[Callable[[], None]]) -> None:
        """Runs each part on a thread of its own, until all are over."""
        threads = [threading.Thread(target=self._act, args=(part,), daemon=True) for part in parts]
        with self._lock:
            self._running = len(threads)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.is_stuck = self.is_stuck or any(thread.is_alive() for thread in threads)

    @contextmanager
    def inside(self) -> Generator[None]:
        """What an LM's call takes: until it is its turn to end."""
        turn = threading.Event()
        with self._lock:
            self._inside.append(turn)
            self.peak = max(self.peak, len(self._inside))
            self._stop_running()
        if not turn.wait(60):
            self.is_stuck = True
        yield

    def park(self, granted: Future[Hold]) -> None:
        """The thread waits for this from now on, unless it is done."""
        with self._lock:
            if granted.done():
                return
            self._parked += 1
            granted.add_done_callback(self._unpark)
            self._stop_running()

    def _act(self, part: Callable[[], None]) -> None:
        try:
            part()
        finally:
            with self._lock:
                self._stop_running()

    def _unpark(self, _: Future[Hold]) -> None:
        with self._lock:
            self._parked -= 1
            self._running += 1

    def _stop_running(self) -> None:
        self._running -= 1
        if self._running:
            return
        if self._inside:
            self._running += 1
            self._inside.pop(self._chance.randrange(len(self._inside))).set()
        elif self._parked:  # nobody is left who could free anything
            self.is_stuck = True


class StagedLedger(Ledger):
    """A ledger that tells the stage who has to wait."""

    stage: Stage

    def admit(self, need: Need, *, is_final: bool = False, whose: Ledger | None = None) -> Future[Hold]:
        granted = super().admit(need, is_final=is_final, whose=whose)
        if whose is None:  # else the ledger below has told it
            self.stage.park(granted)
        return granted
