"""The one background thread, whose event loop does all sandbox I/O and nothing else."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_inherited: list[asyncio.AbstractEventLoop] = []


def io_loop() -> asyncio.AbstractEventLoop:
    """The running loop of the background thread, which is started on first use and lives as long as the process."""
    global _loop
    with _lock:
        if _loop is None:
            loop = asyncio.new_event_loop()
            started = threading.Event()
            threading.Thread(target=_run, args=(loop, started), name="rlm-sandbox-io", daemon=True).start()
            started.wait()
            _loop = loop
        return _loop


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Runs a coroutine on the background loop."""
    return asyncio.run_coroutine_threadsafe(coroutine, io_loop())


async def in_thread(function: Callable[[], T]) -> T:
    """Runs what takes long on a thread of its own, which ends with it and never keeps the process alive."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(set_outcome: Callable[[Any], None], outcome: Any) -> None:
        if not done.done():
            set_outcome(outcome)

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # it is raised again where the caller waits
            loop.call_soon_threadsafe(settle, done.set_exception, error)
        else:
            loop.call_soon_threadsafe(settle, done.set_result, result)

    threading.Thread(target=run, name="rlm-sandbox-work", daemon=True).start()
    return await done


def _run(loop: asyncio.AbstractEventLoop, started: threading.Event) -> None:
    asyncio.set_event_loop(loop)
    loop.call_soon(started.set)
    loop.run_forever()


def _forget_after_fork() -> None:
    """A forked child has the loop but not its thread; it makes both anew on first use."""
    global _loop, _lock
    _lock = threading.Lock()
    if _loop is not None:
        # Never collected: what it closed then would be taken off the selector that it shares with the parent.
        _inherited.append(_loop)
        _loop = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
