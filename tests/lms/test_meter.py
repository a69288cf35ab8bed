from __future__ import annotations

import contextvars
import threading
from typing import Any

import dspy

from rlm_module.events import Usage
from rlm_module.lms.meter import Meter
from tests.scripted import ScriptedLM


class PricedLM(ScriptedLM):
    def update_history(self, entry: dict[str, Any]) -> None:
        super().update_history({**entry, "cost": 0.25})


def test_calls_tokens_and_cost_are_measured() -> None:
    lm = PricedLM(["a", "b"])
    with Meter().scope() as meter:
        lm("1")
        lm("2")
    assert meter.spent == {"scripted/model": Usage(2, 0, 20, 10, 0.5)}


def test_cached_calls_count_but_cost_nothing() -> None:
    lm = PricedLM(["a"], cache=True)
    with Meter().scope() as meter:
        lm("same")
        lm("same")
    assert meter.usage == Usage(2, 1, 10, 5, 0.25)
    assert len(lm.requests) == 1


def test_a_price_that_is_not_known_is_none() -> None:
    with Meter().scope() as meter:
        ScriptedLM(["a"])("1")
    assert meter.usage.cost_usd is None


def test_usage_reaches_the_tracker_around_it() -> None:
    lm = ScriptedLM(["a"])
    with dspy.track_usage() as tracker, Meter().scope():
        lm("1")
    assert tracker.get_total_tokens()["scripted/model"]["total_tokens"] == 15


def test_calls_on_threads_with_a_copied_context_are_measured() -> None:
    lm = PricedLM(lambda request: "a")
    with Meter().scope() as meter:
        threads = [threading.Thread(target=contextvars.copy_context().run, args=(lm, "x")) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert meter.usage == Usage(20, 0, 200, 100, 5.0)


def test_usage_on_the_threads_of_dspy_parallel_is_measured() -> None:
    predict = dspy.Predict("q -> a")
    lm = ScriptedLM(lambda request: "[[ ## a ## ]]\n1")
    with dspy.context(lm=lm), Meter().scope() as meter:
        dspy.Parallel(num_threads=2, disable_progress_bar=True)([(predict, dspy.Example(q="1").with_inputs("q"))] * 3)
    assert meter.usage.calls == 3


def test_the_history_of_calling_modules_is_left_alone() -> None:
    predict = dspy.Predict("q -> a")
    with dspy.context(lm=ScriptedLM(["[[ ## a ## ]]\n1"])), Meter().scope() as meter:
        predict(q="1")
    assert len(predict.history) == 1
    assert meter.last_entry is predict.history[0]
