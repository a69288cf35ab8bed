"""Work on many items, several at a time, until they are done or nobody takes results any more."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import dspy

T = TypeVar("T")
R = TypeVar("R")


def each_done(work: Callable[[T], R], items: Sequence[T], num_threads: int | None) -> Iterator[R]:
    """What `work` returns for each item, as it is done, in contexts like this one.

    Where the caller stops taking, or Ctrl-C is pressed, no further item is begun; what is under way on another thread
    ends by itself and is not waited for.

    Args:
        work: What it raises is raised here, and ends the others.
        items: Taken in order.
        num_threads: How many at a time, None for `dspy.settings.num_threads`; with one, all happens on this thread.
    """
    num_threads = int(num_threads or dspy.settings.num_threads or 1)
    if num_threads <= 1:
        for item in items:
            yield work(item)
        return
    waiting, done, stopped = iter(items), queue.SimpleQueue[R | _Raised](), threading.Event()
    lock = threading.Lock()

    def run() -> None:
        while not stopped.is_set():
            with lock:
                item = next(waiting, _NONE_LEFT)
            if isinstance(item, _NoneLeft):
                return
            try:
                done.put(work(item))
            except BaseException as error:  # to be raised where results are taken
                done.put(_Raised(error))

    for _ in range(min(num_threads, len(items))):
        threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()
    try:
        for _ in items:
            result = done.get()
            if isinstance(result, _Raised):
                raise result.error
            yield result
    finally:
        stopped.set()


class _NoneLeft:
    pass


_NONE_LEFT = _NoneLeft()


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error
