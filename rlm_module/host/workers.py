"""The threads of a run. All are daemons that end with it, so that a hung tool holds up neither Ctrl-C nor exit."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Job:
    run: Callable[[], Any]
    context: contextvars.Context
    label: str
    future: Future[Any] = field(default_factory=Future)
    deadline: float = 0.0


class Crew:
    """Up to `size` worker threads, started when there is work for them.

    Args:
        name: What the threads are called.
        size: How many jobs run at once; with 1 they run in the order in which they came.
        limit: Seconds that a job may run. One that takes longer fails with TimeoutError; its thread, which cannot be
            stopped, is left to itself and replaced.
        prepare: Runs first on each thread.
    """

    def __init__(
        self, name: str, size: int, *, limit: float | None = None, prepare: Callable[[], None] | None = None
    ) -> None:
        self._name = name
        self._size = size
        self._limit = limit
        self._prepare = prepare
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._waiting = 0
        self._threads = 0
        self._running: dict[_Job, threading.Thread] = {}
        self._abandoned: set[threading.Thread] = set()
        self._watched = False

    def submit(
        self, run: Callable[[], T], context: contextvars.Context | None = None, *, label: str = "the job"
    ) -> Future[T]:
        """Runs a function on one of the threads.

        Args:
            run: What to run.
            context: Context variables that it sees, in a copy; default: those of the caller.
            label: What an error calls it.
        """
        job = _Job(run, contextvars.copy_context() if context is None else context.copy(), label)
        with self._lock:
            if self._closed.is_set():
                job.future.cancel()
                return job.future
            self._waiting += 1
            self._jobs.put(job)
            self._staff()
        return job.future

    def close(self) -> None:
        """Cancels what has not begun and lets the threads end; jobs that run are left to themselves."""
        with self._lock:
            self._closed.set()
            while True:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is not None:
                    job.future.cancel()
            for _ in range(self._threads):
                self._jobs.put(None)

    def close_when_idle(self) -> None:
        """Lets the threads end once what was submitted is done."""
        with self._lock:
            self._closed.set()
            for _ in range(self._threads):
                self._jobs.put(None)

    def _staff(self) -> None:
        """Starts a thread if more jobs wait than threads are free."""
        free = self._threads - len(self._running)
        if self._waiting > free and self._threads < self._size:
            self._threads += 1
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        if self._limit is not None and not self._watched:
            self._watched = True
            threading.Thread(target=self._watch, args=(self._limit,), name=f"{self._name}-limit", daemon=True).start()

    def _work(self) -> None:
        me = threading.current_thread()
        if self._prepare is not None:
            self._prepare()
        while (job := self._jobs.get()) is not None:
            with self._lock:
                self._waiting -= 1
                job.deadline = time.monotonic() + (self._limit or 0.0)
                self._running[job] = me
            if job.future.set_running_or_notify_cancel():
                _settle(job)
            with self._lock:
                self._running.pop(job, None)
                if me in self._abandoned:
                    self._abandoned.remove(me)
                    return
            del job

    def _watch(self, limit: float) -> None:
        # A job that starts while this waits cannot be due before the wait is over, so nobody needs to wake it.
        pause = limit
        while not self._closed.wait(pause):
            now, pause = time.monotonic(), limit
            with self._lock:
                for job, thread in list(self._running.items()):
                    if job.deadline <= now:
                        self._abandon(job, thread, limit)
                    else:
                        pause = min(pause, job.deadline - now)

    def _abandon(self, job: _Job, thread: threading.Thread, limit: float) -> None:
        del self._running[job]
        self._abandoned.add(thread)
        self._threads -= 1
        _fail(job.future, TimeoutError(f"{job.label} took longer than {limit:g} s and was given up"))
        self._staff()


def _settle(job: _Job) -> None:
    try:
        result = job.context.run(job.run)
    except BaseException as error:  # it is raised again where the caller waits
        _fail(job.future, error)
        return
    with contextlib.suppress(InvalidStateError):  # given up meanwhile
        job.future.set_result(result)


def _fail(future: Future[Any], error: BaseException) -> None:
    with contextlib.suppress(InvalidStateError):  # settled meanwhile
        future.set_exception(error)


def result_of(future: Future[T]) -> T:
    """Waits for a future. Its own `result` takes an error that is falsy, as SubcallError is, for none at all."""
    error = future.exception()
    if error is not None:
        raise error
    return future.result()


async def in_background(run: Callable[[], T]) -> T:
    """Runs a function on a thread of its own without blocking the event loop; a task that is cancelled meanwhile
    leaves it to itself.
    """
    crew = Crew("rlm-background", 1)
    running = crew.submit(run)
    crew.close_when_idle()
    return await asyncio.shield(asyncio.wrap_future(running))


class Coroutines:
    """Runs coroutines on the caller's event loop, or on one of its own, which it starts when there is work for it.

    Args:
        loop: The caller's running loop; None where the caller is not async.
        prepare: Runs first on the thread of its own loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None, prepare: Callable[[], None] | None = None) -> None:
        self._loop = loop
        self._owned: asyncio.AbstractEventLoop | None = None
        self._prepare = prepare
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, coroutine: Coroutine[Any, Any, T], context: contextvars.Context | None = None) -> Future[T]:
        """Runs a coroutine in a context of its own (default: a copy of the caller's)."""
        context = contextvars.copy_context() if context is None else context.copy()
        with self._lock:
            if self._closed:
                coroutine.close()
                future: Future[T] = Future()
                future.cancel()
                return future
            loop = self._loop or self._start()
        # The loop takes over the context that is current when the task is handed to it.
        return context.run(asyncio.run_coroutine_threadsafe, coroutine, loop)

    def close(self) -> None:
        """Ends the loop of its own, cancelling what runs there; tasks on the caller's loop are the caller's."""
        with self._lock:
            self._closed = True
            if self._owned is not None:
                self._owned.call_soon_threadsafe(self._owned.stop)

    def _start(self) -> asyncio.AbstractEventLoop:
        if self._owned is None:
            self._owned = asyncio.new_event_loop()
            threading.Thread(target=self._serve, args=(self._owned,), name="rlm-coroutines", daemon=True).start()
        return self._owned

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        if self._prepare is not None:
            self._prepare()
        try:
            loop.run_forever()
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
