"""Work on several items at a time: in whose context, and until when."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import dspy
import pytest

from rlm_module.optimizers.threads import each_done

_where: ContextVar[str] = ContextVar("where", default="elsewhere")


@pytest.mark.parametrize("threads", [1, 3])
def test_each_item_is_done_once_in_a_context_like_the_callers(threads: int) -> None:
    token = _where.set("here")
    found = sorted(each_done(lambda number: (number, _where.get()), range(5), threads))
    _where.reset(token)
    assert found == [(number, "here") for number in range(5)]


def test_as_many_at_a_time_as_dspy_is_configured_for() -> None:
    meet = threading.Barrier(3)
    with dspy.context(num_threads=3):
        assert sorted(each_done(lambda _: meet.wait(60), range(3), None)) == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_raised_on_a_thread_is_raised_here(threads: int) -> None:
    def work(number: int) -> int:
        raise KeyboardInterrupt if number == 1 else ValueError(str(number))

    with pytest.raises(ValueError, match="0"):
        list(each_done(work, [0], threads))
    with pytest.raises(KeyboardInterrupt):
        list(each_done(work, [1], threads))


def test_nothing_is_begun_for_a_caller_that_has_gone() -> None:
    begun, may_end, workers = list[int](), threading.Event(), set[threading.Thread]()

    def work(number: int) -> int:
        workers.add(threading.current_thread())
        begun.append(number)
        if number > 0:
            may_end.wait(60)
        return number

    results = each_done(work, range(10), 2)
    assert next(results) == 0
    results.close()  # pyright: ignore[reportAttributeAccessIssue]
    may_end.set()
    for worker in list(workers):
        worker.join(60)
    assert len(begun) <= 3


def test_none_is_an_item_like_any_other() -> None:
    assert sorted(each_done(str, [1, None, 2], 2)) == ["1", "2", "None"]
