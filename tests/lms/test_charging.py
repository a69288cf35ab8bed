"""A tool's own LM is paid for like the run's."""

from __future__ import annotations

from typing import Any

import dspy

from rlm_module import RLM, Budget, RunPrediction, charged
from tests.scripted import ScriptedLM, turn

ASK = "try:\n    print(ask('Hm?'))\nexcept Exception as error:\n    print(error)"
END = "SUBMIT(answer='x')"


def _run(own: ScriptedLM, *cells: str, counts: bool = False, **options: Any) -> RunPrediction:
    """A run with a tool that asks an LM of its own."""

    def ask(question: str) -> str:
        return str(charged(own, counts=counts)(question)[0])

    with dspy.context(lm=ScriptedLM(map(turn, (*cells, END)))):
        prediction: Any = RLM("q -> answer", tools=[ask], **options)(q="text")
    return prediction


def test_a_tools_own_lm_is_charged_to_the_run() -> None:
    prediction = _run(ScriptedLM(["Aha."], model="own/model"), ASK)
    assert prediction.trajectory[0]["output"].strip() == "Aha."
    assert prediction.usage.by_role["tool"].tokens == 15
    assert prediction.usage.by_model["own/model"].calls == 1


def test_what_does_not_fit_the_budget_is_not_asked() -> None:
    own = ScriptedLM(["Aha."], max_tokens=50_000)
    prediction = _run(own, ASK, budget=Budget(tokens=20_000, root_tokens=1_000))
    assert "the budget's tokens are used up" in prediction.trajectory[0]["output"]
    assert own.requests == []


def test_calls_that_count_take_sub_calls() -> None:
    own = ScriptedLM(["Aha."] * 2)
    prediction = _run(own, *[ASK] * 3, counts=True, max_llm_calls=2)
    assert [step["output"].strip()[:4] for step in prediction.trajectory[:3]] == ["Aha.", "Aha.", "Limi"]
    assert "calls are used up" in prediction.trajectory[2]["output"]


def test_calls_that_do_not_count_take_none() -> None:
    prediction = _run(ScriptedLM(["Aha."] * 3), *[ASK] * 3, max_llm_calls=1)
    assert [step["output"].strip() for step in prediction.trajectory[:3]] == ["Aha."] * 3


def test_outside_of_a_run_it_is_the_lm_itself() -> None:
    lm = ScriptedLM()
    assert charged(lm) is lm
    assert charged(None) is None
