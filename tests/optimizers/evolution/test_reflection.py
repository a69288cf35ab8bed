"""The reflection model: any callable, any reply, and an answer of its own to each request that is repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import Budget, InputError, spending
from rlm_module.optimizers.evolution.evaluations import Reflections
from rlm_module.optimizers.evolution.reflection import ReflectionModel
from rlm_module.optimizers.evolution.stopping import Allowance, Exhausted
from tests.scripted import ScriptedLM


def _model(lm: Any, allowance: Allowance | None = None, reflections: Reflections | None = None) -> ReflectionModel:
    return ReflectionModel(lm, allowance or Allowance(None, None), reflections or Reflections())


@pytest.mark.parametrize("reply", ["text", ["text"], [{"text": "text"}], [["text", "other"]]])
def test_a_reply_may_have_any_shape(reply: Any) -> None:
    assert _model(lambda request: reply).ask("?") == "text"


@pytest.mark.parametrize("reply", [None, [], "", [None], 3])
def test_what_is_no_text_is_nothing(reply: Any) -> None:
    assert _model(lambda request: reply).ask("?") == ""


def test_an_lm_is_asked_and_paid() -> None:
    lm, allowance = ScriptedLM(["one", "two"], max_tokens=5), Allowance(None, None)
    with spending(Budget(prices={"scripted/model": (0.0, 1_000.0)})):
        assert _model(lm, allowance).ask("?") == "one"
    assert allowance.reflection_cost_usd == pytest.approx(0.005)


def test_a_repeated_request_is_answered_anew_in_spite_of_the_cache() -> None:
    lm = ScriptedLM(["one", "two"], cache=True)
    model = _model(lm)
    assert [model.ask("?"), model.ask("?")] == ["one", "two"]


def test_money_that_is_spent_is_not_asked_for() -> None:
    allowance = Allowance(None, 0.1)
    allowance.book_run(0.1)
    asked: list[str] = []
    with pytest.raises(Exhausted):
        _model(asked.append, allowance).ask("?")
    assert asked == []


def test_what_the_shared_budget_refuses_ends_the_compile() -> None:
    lm = ScriptedLM(["one"], max_tokens=5)
    prices = {"scripted/model": (0.0, 1_000.0)}
    with spending(Budget(cost_usd=0.001, prices=prices)), pytest.raises(Exhausted):
        _model(lm).ask("?")


def test_a_model_that_fails_says_nothing_and_is_told_of_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: str) -> str:
        raise RuntimeError("\n\noverloaded,\nwait\n\n{'retry': 5}")

    model = _model(fail)
    assert [model.ask("?"), model.ask("?")] == ["", ""]
    with pytest.raises(Exhausted) as gone:
        model.ask("?")
    assert caplog.messages == ["The reflection model failed: RuntimeError: overloaded, wait"] * 3
    assert gone.value.reason == "the reflection model failed 3 times in a row (RuntimeError: overloaded, wait)"


def test_one_that_is_async_is_refused() -> None:
    async def ask(request: str) -> str:
        return "text"

    with pytest.raises(InputError, match="async"):
        _model(ask).ask("?")


def test_what_was_answered_before_is_not_asked_again(tmp_path: Path) -> None:
    path, allowance = tmp_path / "reflections.jsonl", Allowance(None, None)
    Reflections(path).add("?", "text", 0.5)
    assert _model(lambda request: 1 / 0, allowance, Reflections(path)).ask("?") == "text"
    assert allowance.cost_usd == pytest.approx(0.5)


def test_dspys_lm_may_be_any_base_lm() -> None:
    class Other(dspy.BaseLM):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return ["text"]

    assert _model(Other("other/model")).ask("?") == "text"
