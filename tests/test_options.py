"""What an RLM may not be made with is refused when it is made, in one sentence that tells what to pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import RLM, Budget, InputError, spending
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, turn


def _prompted(prompt: str) -> list[str]:
    return [prompt]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_depth": -1}, "max_depth must be a whole number of at least 0, not -1."),
        ({"max_iters": 0}, "max_iters must be a whole number of at least 1, not 0."),
        ({"max_iters": "3"}, "max_iters must be a whole number of at least 1, not '3'."),
        ({"max_llm_calls": -1}, "max_llm_calls must be a whole number of at least 0, not -1."),
        ({"max_llm_calls": 2.5}, "max_llm_calls must be a whole number of at least 0, not 2.5."),
        ({"max_output_chars": 0}, "max_output_chars must be a whole number of at least 1, not 0."),
        ({"concurrency": 0}, "concurrency must be a whole number of at least 1, not 0."),
        ({"concurrency": True}, "concurrency must be a whole number of at least 1, not True."),
        ({"tool_seconds": -1}, "tool_seconds must be a number above 0, not -1."),
        ({"tool_seconds": "60"}, "tool_seconds must be a number above 0, not '60'."),
        ({"tool_seconds": float("nan")}, "tool_seconds must be a number above 0, not nan."),
        ({"compact_at": 1.5}, "compact_at is a share of the window, above 0 and at most 1, not 1.5."),
        ({"compact_at": "0.5"}, "compact_at is a share of the window, above 0 and at most 1, not '0.5'."),
        ({"budget": 5}, "budget must be a Budget, such as Budget(cost_usd=5), not 5."),
        ({"budget": 0}, "budget must be a Budget, such as Budget(cost_usd=5), not 0."),
        ({"journal": 5}, "journal must be the path of a folder, such as 'runs', not 5."),
        ({"escalate_to": "strong"}, "escalate_to names no LM of sub_lms: 'strong'; add it there."),
        ({"escalate_to": ["strong"]}, "escalate_to names no LM of sub_lms: ['strong']; add it there."),
        ({"sub_lm": "openai/gpt-5"}, "sub_lm must be an LM, not its name; pass dspy.LM('openai/gpt-5')."),
        ({"sub_lm": 3}, "sub_lm must be a dspy.LM, or a function that takes a prompt, not int."),
        ({"sub_lms": {"x": "my/lm"}}, "sub_lms['x'] must be an LM, not its name; pass dspy.LM('my/lm')."),
        ({"sub_lms": {1: print}}, "sub_lms must have texts as names, which generated code writes, not 1."),
        (
            {"sub_lms": [_prompted]},
            "sub_lms must be a dict of LMs by name, such as {'strong': dspy.LM(...)}, not list.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        RLM("q -> a", **options)


@pytest.mark.parametrize("sub_lm", [None, _prompted, ScriptedLM([]), dspy.LM("openai/none")])
def test_an_lm_and_any_callable_will_do(sub_lm: Any) -> None:
    assert RLM("q -> a", sub_lm=sub_lm).sub_lm is sub_lm


def test_a_sub_lm_that_is_set_later_is_looked_at_then() -> None:
    rlm = RLM("q -> a", sub_lm=_prompted)
    with pytest.raises(InputError, match=r"^sub_lm must be an LM, not its name; pass dspy\.LM\('my/lm'\)\.$"):
        rlm.sub_lm = "my/lm"
    assert rlm.sub_lm is _prompted


def test_what_is_set_later_is_looked_at_by_the_next_run() -> None:
    rlm: Any = RLM("q -> a", interpreter_factory=FakeInterpreter)
    rlm.budget = 5
    with dspy.context(lm=ScriptedLM([])), pytest.raises(InputError, match=r"such as Budget\(cost_usd=5\), not 5\."):
        rlm(q="1")


def test_a_journal_may_be_set_later_as_text(tmp_path: Path) -> None:
    rlm: Any = RLM("q -> a", interpreter_factory=FakeInterpreter)
    rlm.journal = str(tmp_path)
    with dspy.context(lm=ScriptedLM([turn("SUBMIT(a='x')")])):
        prediction = rlm(q="1")
    assert (tmp_path / prediction.run_id / "events.jsonl").exists()


def test_a_root_lm_that_is_only_a_name_is_refused() -> None:
    rlm = RLM("q -> a")
    rlm.set_lm("my/lm")
    with pytest.raises(InputError, match=r"^The root LM must be an LM, not its name; pass dspy\.LM\('my/lm'\)\.$"):
        rlm(q="1")


def test_a_shared_budget_has_to_be_one() -> None:
    wrong: Any = 5
    with pytest.raises(InputError, match=r"such as Budget\(cost_usd=5\), not 5\."), spending(wrong):
        pass
    with spending(Budget(tokens=1)) as spent:
        assert spent.left.tokens == 1


@pytest.mark.parametrize(
    ("factory", "message"),
    [(3, "must be callable without arguments, not int"), (FakeInterpreter(), "must make a new .* pass its class")],
)
def test_what_makes_no_interpreter_is_refused(factory: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^interpreter_factory {message}"):
        RLM("q -> a", interpreter_factory=factory)
