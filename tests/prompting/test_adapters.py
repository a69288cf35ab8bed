from __future__ import annotations

import dspy
import pytest

from rlm_module import RLM
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, turn


@pytest.mark.parametrize(
    "reply",
    [
        "<reasoning>\nr\n</reasoning>\n<code>\nSUBMIT(answer='x')\n</code>",
        "```python\nSUBMIT(answer='x')\n```",
        turn("SUBMIT(answer='x')"),
    ],
)
def test_other_adapters_serve_and_code_is_found_where_they_find_none(reply: str) -> None:
    rlm = RLM("q -> answer", interpreter_factory=FakeInterpreter)
    with dspy.context(lm=ScriptedLM([reply]), adapter=dspy.XMLAdapter()):
        assert rlm(q="1").answer == "x"


@pytest.mark.parametrize(
    ("adapter", "reply"),
    [
        (dspy.ChatAdapter(), "[[ ## count ## ]]\nI count **7** of them.\n\n[[ ## completed ## ]]"),
        (dspy.JSONAdapter(), '{"count": "I count **7** of them."}'),
    ],
    ids=["chat", "json"],
)
def test_a_drawn_up_value_may_be_wrapped_in_prose(adapter: dspy.Adapter, reply: str) -> None:
    rlm = RLM("q -> count: int", max_iters=1, interpreter_factory=FakeInterpreter)
    rlm.generate_action = lambda **_: dspy.Prediction(reasoning="r", code="x = 1")
    lm = ScriptedLM([reply])
    with dspy.context(lm=lm, adapter=adapter):
        assert rlm(q="1").count == 7
    assert len(lm.requests) == 1
