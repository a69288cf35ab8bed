"""Runs a program over examples, several at a time, until they are done, a limit is reached, or somebody stops it."""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import dspy

from rlm_module.errors import InputError

logger = logging.getLogger(__name__)

T = TypeVar("T")


def checked_examples(trainset: Any, name: str = "trainset") -> list[dspy.Example]:
    """The examples as a list.

    Raises:
        InputError: If there are none, or one is no example or does not say which of its fields are inputs.
    """
    examples = list(trainset) if trainset is not None else []
    if not examples:
        raise InputError(f"The {name} is empty; pass a list of dspy.Example.")
    for number, example in enumerate(examples):
        if not isinstance(example, dspy.Example):
            raise InputError(f"{name}[{number}] is no dspy.Example but {type(example).__name__}; make it one.")
        try:
            example.inputs()
        except ValueError:
            raise InputError(
                f"{name}[{number}] does not say which of its fields are inputs; call its with_inputs(...)."
            ) from None
    return examples


def each_done(work: Callable[[T], Any], items: Sequence[T], num_threads: int) -> Iterator[Any]:
    """What `work` returns for each item, as it is done, in contexts like this one.

    Where the caller stops taking, or Ctrl-C is pressed, no further item is begun; what is under way on another thread
    ends by itself and is not waited for.

    Args:
        work: What it raises is raised here, and ends the others.
        items: Taken in order.
        num_threads: How many at a time; with one, all happens on this thread.
    """
    if num_threads <= 1:
        for item in items:
            yield work(item)
        return
    waiting, done, stopped = iter(items), queue.SimpleQueue[Any](), threading.Event()
    lock = threading.Lock()

    def run() -> None:
        while not stopped.is_set():
            with lock:
                item = next(waiting, None)
            if item is None:
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


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error
