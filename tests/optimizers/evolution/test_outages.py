"""An outage is no result: what it took away is asked for again, and paid for in the books."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import Budget, spending
from rlm_module.optimizers import RLMGEPA
from rlm_module.optimizers.evolution.evaluations import Evaluations, Reflections
from tests.optimizers.hidden_advice import World
from tests.scripted import ScriptedLM, fields

TRAIN = [dspy.Example(q=f"q{number}", a="good").with_inputs("q") for number in range(4)]


def _exact(example: Any, prediction: Any) -> float:
    return float(example.a == prediction.a)


def _compile(reflect: Any, folder: Path | None = None, **options: Any) -> Any:
    optimizer = RLMGEPA(_exact, reflection_lm=reflect, run_dir=folder, show_progress=False, num_threads=1, **options)
    return optimizer.compile(dspy.Predict("q -> a"), trainset=TRAIN).compilation


def test_a_reflection_model_that_is_down_ends_the_compile_and_is_asked_again_later(tmp_path: Path) -> None:
    asked: list[str] = []

    def down(request: str) -> str:
        asked.append(request)
        raise RuntimeError("401: no such key")

    def answer(request: Any) -> str:
        return fields(a="good" if "MAGIC" in str(request) else "bad")

    with dspy.context(lm=ScriptedLM(answer)):
        first = _compile(down, tmp_path)
        assert len(asked) == 3
        assert first.stopped == "the reflection model failed 3 times in a row (RuntimeError: 401: no such key)"
        second = _compile(lambda request: "```\nUse MAGIC.\n```", tmp_path)
    assert second.candidates[second.best].score == 1.0


def test_failures_between_replies_do_not_end_it() -> None:
    world, asked = World(3, harm=0.0), 0

    def flaky(request: str) -> str:
        nonlocal asked
        asked += 1
        if asked % 3:
            raise ConnectionError
        return world.reflect(request)

    optimizer = RLMGEPA(world.metric, reflection_lm=flaky, show_progress=False, num_threads=1, max_runs=150)
    found = optimizer.compile(world.program(), trainset=world.train, valset=world.val).compilation
    assert "in a row" not in found.stopped
    assert len(found.candidates) > 1


def test_runs_that_an_outage_ended_are_made_again(tmp_path: Path) -> None:
    calls, is_down = 0, True

    def answer(request: Any) -> Any:
        nonlocal calls
        calls += 1
        return ConnectionError("no network") if is_down and calls > 2 else fields(a="good")

    with dspy.context(lm=ScriptedLM(answer)):
        assert sum(_compile(lambda request: "", tmp_path, patience=1).candidates[0].scores.values()) == 2.0
        is_down, calls = False, 0
        assert sum(_compile(lambda request: "", tmp_path, patience=1).candidates[0].scores.values()) == 4.0
    assert calls == 2


def test_their_cost_stays_in_the_books(tmp_path: Path) -> None:
    is_down = True

    class _Fails(dspy.Predict):
        def forward(self, **kwargs: Any) -> Any:
            found = super().forward(**kwargs)
            if is_down and kwargs["q"] == "q1":
                raise ConnectionError("no network")
            return found

    def compile_it() -> Any:
        optimizer = RLMGEPA(
            _exact, reflection_lm=lambda request: "", run_dir=tmp_path, show_progress=False, patience=1, num_threads=1
        )
        return optimizer.compile(_Fails("q -> a"), trainset=TRAIN).compilation

    lm = ScriptedLM(lambda request: fields(a="good"))
    with dspy.context(lm=lm), spending(Budget(prices={"scripted/model": (0.0, 200_000.0)})):  # $1 a call
        compile_it()
        is_down = False
        assert compile_it().cost_usd == pytest.approx(len(lm.requests)) == pytest.approx(5.0)


def test_the_journal_tells_what_bought_nothing(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    kept = Evaluations(path)
    kept.add("a", "x", {"score": 0.0, "failed": "program", "cost_usd": 2.0})
    kept.add("a", "y", {"score": 1.0, "failed": "", "cost_usd": 1.0})
    kept.add_cost(0.5)
    found = Evaluations(path)
    assert (found.find("a", "x"), found.cost_usd, found.lost_usd) == (None, 3.5, 2.5)
    assert found.find("a", "y") is not None
    replies = Reflections(tmp_path / "replies.jsonl")
    replies.add("?", "text", 1.0)
    replies.add_cost(0.25)
    assert Reflections(tmp_path / "replies.jsonl").lost_usd == 0.25
    assert json.loads((tmp_path / "replies.jsonl").read_text().splitlines()[1]) == {"cost_usd": 0.25}
