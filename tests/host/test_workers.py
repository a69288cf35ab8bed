from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import CancelledError, wait

import pytest

from rlm_module import SubcallError
from rlm_module.host.workers import Coroutines, Crew, result_of

_marker = contextvars.ContextVar("marker", default="unset")


def test_a_crew_of_one_runs_jobs_in_order_and_one_at_a_time() -> None:
    crew, seen = Crew("one", 1), list[int]()
    wait([crew.submit(lambda number=number: seen.append(number)) for number in range(50)])
    assert seen == list(range(50))
    crew.close()


def test_a_crew_runs_as_many_jobs_at_once_as_it_has_threads() -> None:
    crew, together = Crew("many", 4), threading.Barrier(4)
    done = wait([crew.submit(lambda: together.wait(5)) for _ in range(4)], timeout=5)
    assert len(done.done) == 4
    crew.close()


def test_a_job_sees_the_context_it_was_given() -> None:
    crew = Crew("context", 1)
    _marker.set("caller")
    context = contextvars.copy_context()
    context.run(_marker.set, "given")
    assert crew.submit(_marker.get).result(5) == "caller"
    assert crew.submit(_marker.get, context).result(5) == "given"
    crew.close()


def test_what_a_job_raises_is_raised_again() -> None:
    crew = Crew("raising", 1)
    with pytest.raises(ZeroDivisionError):
        crew.submit(lambda: 1 / 0).result(5)
    assert crew.submit(lambda: 1).result(5) == 1
    crew.close()


def test_an_error_that_is_falsy_is_raised_all_the_same() -> None:
    crew, error = Crew("falsy", 1), SubcallError("lm", "no")

    def fail() -> None:
        raise error

    with pytest.raises(SubcallError):
        result_of(crew.submit(fail))
    crew.close()


def test_a_job_over_its_limit_fails_and_the_next_one_runs() -> None:
    crew, release = Crew("limited", 1, limit=0.05), threading.Event()
    stuck = crew.submit(release.wait, label="the tool lookup")
    after = crew.submit(lambda: "went on")
    with pytest.raises(TimeoutError, match=r"the tool lookup took longer than 0\.05 s"):
        stuck.result(5)
    assert after.result(5) == "went on"
    release.set()
    crew.close()


def test_closing_cancels_what_has_not_begun_and_ends_the_threads() -> None:
    crew, begun, release = Crew("closing", 1), threading.Event(), threading.Event()
    running = crew.submit(lambda: begun.set() or release.wait())
    waiting = crew.submit(lambda: None)
    assert begun.wait(5)
    crew.close()
    with pytest.raises(CancelledError):
        waiting.result(5)
    release.set()
    assert running.result(5)
    for thread in [thread for thread in threading.enumerate() if thread.name == "closing"]:
        thread.join(5)
        assert not thread.is_alive()
    assert crew.submit(lambda: None).cancelled()


def test_threads_are_daemons() -> None:
    crew = Crew("daemon", 1)
    assert crew.submit(lambda: threading.current_thread().daemon).result(5)
    crew.close()


async def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_coroutines_run_on_the_callers_loop() -> None:
    async def main() -> None:
        coroutines = Coroutines(asyncio.get_running_loop())
        future = await asyncio.to_thread(coroutines.submit, _loop())
        assert await asyncio.wrap_future(future) is asyncio.get_running_loop()

    asyncio.run(main())


def test_coroutines_run_on_a_loop_of_their_own_without_one() -> None:
    coroutines = Coroutines(None)
    first, second = coroutines.submit(_loop()).result(5), coroutines.submit(_loop()).result(5)
    assert first is second
    stuck = coroutines.submit(asyncio.Event().wait())
    coroutines.close()
    with pytest.raises(CancelledError):
        stuck.result(5)
    for thread in [thread for thread in threading.enumerate() if thread.name == "rlm-coroutines"]:
        thread.join(5)
    assert first.is_closed()
