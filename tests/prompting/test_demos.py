from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module import RLM, capture_runs
from rlm_module.events import Acted, Diverged, Resumed
from rlm_module.prompting.demos import DEMO_TOKENS, demonstration, plain_demos, shown_turns, tokens_of, without_limits
from tests.fake_interpreter import FakeInterpreter
from tests.scripted import ScriptedLM, fields, texts, turn


def _turn(request: str = "r", reasoning: str = "why", code: str = "x = 1") -> dict[str, str]:
    return {"request": request, "reasoning": reasoning, "code": code}


def _rlm(**options: Any) -> RLM:
    return RLM("context, query -> answer", interpreter_factory=FakeInterpreter, **options)


def _gathered(*cells: str, **options: Any) -> Any:
    with dspy.context(lm=ScriptedLM([*map(turn, cells)])), capture_runs() as runs:
        _rlm(**options)(context="c" * 100, query="q")
    return demonstration(runs[0].events)


@pytest.mark.parametrize(
    "line",
    [
        "[Turn 3 of 20. Sub-LM calls left: 49 of 50.]",
        "[Turn 20 of 20. This is the last one: SUBMIT the best answer you have.]",
        "[Turn 2 of 5. Little of the budget is left ($0.0100 of $1.0000): finish soon.]",
        "[Turn 2 of 5. The run was resumed; gone are the variables of interrupted cells: a, b.]",
    ],
)
def test_what_was_left_to_another_run_is_taken_off(line: str) -> None:
    assert without_limits(f"[1, 2]\n\n{line}") == "[1, 2]"


@pytest.mark.parametrize("text", ["[Turn 3 of 20] of the chat", "printed: [Turn 3 of 20. x] and more", ""])
def test_other_text_stays(text: str) -> None:
    assert without_limits(text) == text


def test_a_run_becomes_a_demonstration() -> None:
    demo = _gathered("print('a' * 9000)", "SUBMIT(answer='x')", max_iters=7, max_llm_calls=9)
    assert [step["code"] for step in demo["turns"]] == ["print('a' * 9000)", "SUBMIT(answer='x')"]
    assert len(demo["turns"][1]["request"]) <= 1_200
    assert "of 7" not in json.dumps(demo)
    assert "of 9" not in json.dumps(demo)


def test_turns_of_child_rlms_are_no_part_of_it() -> None:
    demo = _gathered(
        "print(rlm_query('why?', context='c'))", "SUBMIT(answer='child')", "SUBMIT(answer='x')", max_depth=2
    )
    assert [step["code"] for step in demo["turns"]] == ["print(rlm_query('why?', context='c'))", "SUBMIT(answer='x')"]


def test_a_run_that_submitted_nothing_is_none() -> None:
    with dspy.context(lm=ScriptedLM([turn("print(1)"), fields(answer="x")])), capture_runs() as runs:
        assert _rlm(max_iters=1)(context="c", query="q").answer == "x"
    assert demonstration(runs[0].events) is None
    assert demonstration(runs[0].events[:4]) is None
    assert demonstration(()) is None


def test_of_a_resumed_run_what_was_done_last_counts() -> None:
    with dspy.context(lm=ScriptedLM([turn("a = 1"), turn("b = 1"), turn("SUBMIT(answer='x')")])):
        events = _rlm()(context="c", query="q").run.events
    (first, second, third), ended = [event for event in events if isinstance(event, Acted)], events[-1]
    diverged = Diverged(run_id="r", turn=1, what="its cell printed something else")
    again = [first, second, third, Resumed(run_id="r", turns=3), diverged, replace(second, code="c = 1")]
    demo = demonstration([*again, ended])
    assert demo is not None
    assert [step["code"] for step in demo["turns"]] == ["a = 1", "c = 1"]
    assert demonstration([*again[:3], ended, Resumed(run_id="r", turns=3)]) is None


@pytest.mark.parametrize(
    "demo",
    [
        {"context": "c", "answer": "a"},
        {"request": "r"},
        {"request": 1, "reasoning": "", "code": ""},
        {"turns": []},
        {"turns": "text"},
        {"turns": [{"request": "r"}]},
    ],
)
def test_what_is_no_turn_is_no_demonstration(demo: dict[str, Any]) -> None:
    assert plain_demos([demo, dspy.Example(**demo)]) == []


@pytest.mark.parametrize("history", [None, dspy.History(messages=[_turn("first")]), [_turn("first")], "History(...)"])
def test_a_stock_demo_is_the_turns_up_to_it(history: Any) -> None:
    demo = dspy.Example(augmented=True, history=history, **_turn("second"))
    requests = [step["request"] for step in plain_demos([demo])[0]["turns"]]
    assert requests == (["second"] if history is None or isinstance(history, str) else ["first", "second"])


def test_demonstrations_that_do_not_fit_are_left_out_whole() -> None:
    large = {"turns": [_turn(code="x" * (4 * DEMO_TOKENS - 200))]}
    small = [{"turns": [_turn(f"task {number}", code="y" * 300), _turn()]} for number in (1, 2)]
    shown = shown_turns([small[0], large, small[1]])
    assert [step["code"][0] for step in shown] == ["y", "x", "y", "x"]
    assert "task 1" in shown[0]["request"]
    assert "task 2" in shown[2]["request"]
    assert shown_turns([large, small[0]]) == shown_turns([large])


_DEMOS = st.lists(
    st.fixed_dictionaries(
        {
            "turns": st.lists(
                st.builds(_turn, st.text(max_size=50).map(lambda text: text * 99), st.text(), st.text()), min_size=1
            )
        }
    )
)


@given(_DEMOS)
def test_stored_demonstrations_stay_what_they_are(demos: list[Any]) -> None:
    plain = plain_demos(demos)
    assert plain_demos(json.loads(json.dumps(plain))) == plain
    assert sum(tokens_of(demo) for demo in plain_demos(_grouped(shown_turns(plain)))) <= DEMO_TOKENS + 20 * len(plain)


def _grouped(turns: list[dict[str, str]]) -> list[Any]:
    return [{"turns": turns}] if turns else []


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.JSONAdapter()], ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("is_stock", [True, False])
def test_requests_after_demonstrations_extend_one_another(adapter: dspy.Adapter, is_stock: bool) -> None:
    rlm = _rlm()
    demo = _gathered("print(1)", "SUBMIT(answer='x')")
    first, second = demo["turns"]
    stock = dspy.Example(history=dspy.History(messages=[first]), augmented=True, **second)
    rlm.generate_action.demos = [stock if is_stock else demo, {"turns": [_turn("other task")]}]
    script = [_turn(code=code) for code in ("print(1)", "print(2)", "SUBMIT(answer='x')")]
    is_json = isinstance(adapter, dspy.JSONAdapter)
    lm = ScriptedLM([json.dumps(said) if is_json else turn(said["code"]) for said in script])
    with dspy.context(lm=lm, adapter=adapter):
        rlm(context="c", query="the live query")
    sent = [texts(request) for request in lm.requests]
    for earlier, later in pairwise(sent):
        assert later[: len(earlier)] == earlier
        assert len(later) == len(earlier) + 2
    assert [role for role, _ in sent[0]] == ["system", *["user", "assistant"] * 3, "user"]
    assert ["An example" in text for role, text in sent[0] if role == "user"] == [True, False, True, False]
    assert "the live query" in sent[0][-1][1]


def test_a_demonstration_moves_into_an_rlm_with_other_limits(tmp_path: Path) -> None:
    learned = _rlm(max_iters=11, max_llm_calls=13)
    learned.generate_action.demos = [_gathered("print(1)", "SUBMIT(answer='x')", max_iters=11, max_llm_calls=13)]
    stock = _turn("Task.\n\n[Turn 1 of 11. Sub-LM calls left: 13 of 13.]")
    learned.generate_action.demos.append(dspy.Example(augmented=True, **stock))
    learned.save(tmp_path / "state.json")
    fresh = _rlm(max_iters=5, max_llm_calls=3)
    fresh.load(tmp_path / "state.json")
    assert fresh.generate_action.demos == learned.dump_state()["generate_action"]["demos"]
    lm = ScriptedLM([turn("SUBMIT(answer='x')")])
    with dspy.context(lm=lm):
        fresh(context="c", query="q")
    sent = " ".join(text for _, text in texts(lm.requests[0]))
    assert sent.count("[Turn ") == 1
    assert "of 11" not in sent
    assert "of 13" not in sent
