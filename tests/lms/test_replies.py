"""LM calls that were paid for within what a cut-off run did not end: a resumed run does not pay for them again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Message, Response, TextPart, ThinkingPart, Usage

from rlm_module import RLM
from rlm_module.errors import FatalError
from rlm_module.events import Acted, CallFinished, CallStarted, LMCalled
from rlm_module.journal import build_tree, group_calls
from rlm_module.lms.replies import Replies, lasting, returned
from tests.cut_off import cut_after, only_run, resume, rewrite, run_with
from tests.journal.samples import acted, call, lm_called
from tests.scripted import ScriptedLM, fields, response, said, turn

_STEPS = [
    fields(next_thought="t", next_tool_name="look", next_tool_args='{"name": "Ada"}'),
    fields(next_thought="t", next_tool_name="finish", next_tool_args="{}"),
    fields(reasoning="r", answer="engines"),
]
_AGENT = "import dspy\nSUBMIT(a=dspy.ReAct('q -> answer', tools=[look])(q=q).answer)"


def look(name: str) -> str:
    """Where a person works."""
    return f"{name} works at engines"


def _cut_after_lm_call(folder: Path, number: int, role: str = "sub") -> None:
    """As if the run was killed right after its nth LM call of that role was on record."""
    left = [number]

    def is_last(line: dict[str, Any]) -> bool:
        left[0] -= line["tag"] == "lm_called" and line["role"] == role
        return not left[0]

    cut_after(folder, is_last)


def _asked(lm: ScriptedLM) -> list[str]:
    return [said(request) for request in lm.requests]


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_sub_agent_that_was_cut_off_goes_on_with_its_next_step(done: int, tmp_path: Path) -> None:
    rlm = RLM("q -> a", tools=[look], max_llm_calls=3, sub_lm=(sub := ScriptedLM(_STEPS)), journal=tmp_path)
    run_with(rlm, turn(_AGENT))
    _cut_after_lm_call(only_run(tmp_path), done)
    rlm.sub_lm = again = ScriptedLM(_STEPS[done:])
    prediction, _ = resume(rlm, only_run(tmp_path))
    assert prediction.a == "engines"
    assert _asked(again) == _asked(sub)[done:]
    called = [event.usage for event in prediction.run.events if isinstance(event, LMCalled)]
    assert sum(usage.tokens for usage in called) == prediction.usage.total.tokens == 4 * 15


def test_so_does_one_of_a_child(tmp_path: Path) -> None:
    replies = [turn(_AGENT.replace("a=", "answer=").replace("(q=q)", "(q=query)")), *_STEPS]
    rlm = RLM("q -> a", tools=[look], max_depth=2, sub_lm=(sub := ScriptedLM(replies)), journal=tmp_path)
    run_with(rlm, turn("SUBMIT(a=rlm_query('Where?'))"))
    _cut_after_lm_call(only_run(tmp_path), 2)
    rlm.sub_lm = again = ScriptedLM(replies[3:])
    prediction, _ = resume(rlm, only_run(tmp_path))
    assert (prediction.a, _asked(again)) == ("engines", _asked(sub)[3:])


def test_a_turn_whose_reply_was_on_record_is_not_asked_for_again(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    run_with(rlm, turn("x = 1"), turn("SUBMIT(a='x')"))
    _cut_after_lm_call(only_run(tmp_path), 2, "root")
    prediction, lm = resume(rlm, only_run(tmp_path))
    assert (prediction.a, lm.requests, prediction.usage.total.calls) == ("x", [], 2)
    assert [event.usage.tokens for event in prediction.run.events if isinstance(event, Acted)] == [15, 15]


def test_a_sub_call_that_is_answered_so_counts_once(tmp_path: Path) -> None:
    rlm = RLM("q -> a", max_llm_calls=3, sub_lm=ScriptedLM([fields(n=1), fields(n=2), fields(n=3)]), journal=tmp_path)
    cell = "found = predict_batched('q -> n: int', [{'q': 'a'}, {'q': 'b'}])\nn = predict('q -> n: int', q='c').n"
    run_with(rlm, turn(cell), turn("SUBMIT(a='x')"))
    _cut_after_lm_call(only_run(tmp_path), 2)
    rlm.sub_lm = again = ScriptedLM([fields(n=3)])
    prediction, _ = resume(rlm, only_run(tmp_path), turn("SUBMIT(a=str(n))"))
    assert (prediction.a, len(again.requests)) == ("3", 1)


def test_calls_go_on_under_their_numbers_with_what_they_had_used(tmp_path: Path) -> None:
    cell = "rlm_query_batched(['Where?', 'When?'])\nllm_query_batched(['a', 'b'])\nSUBMIT(a='x')"

    def sub(request: Any) -> str:
        return turn("SUBMIT(answer=llm_query('x'))") if "[Turn" in said(request) else "re"

    rlm = RLM("q -> a", max_depth=2, sub_lm=ScriptedLM(sub), journal=tmp_path)
    whole = run_with(rlm, turn(cell))
    cut_after(only_run(tmp_path), lambda line: line["tag"] == "cell_finished" and line["node"] == 1)
    prediction, _ = resume(rlm, only_run(tmp_path))
    assert _spent(prediction) == _spent(whole)
    assert _numbers(prediction) == _numbers(whole)
    root = build_tree(prediction.run.events).root
    assert [(group.calls, group.items, group.unfinished) for group in group_calls(root)] == [(1, 2, 0), (1, 2, 0)]


def _spent(prediction: Any) -> list[tuple[str, int]]:
    ended = {event.call: event for event in prediction.run.events if isinstance(event, CallFinished)}
    return sorted((event.function, event.usage.tokens) for event in ended.values())


def _numbers(prediction: Any) -> set[int]:
    return {event.call for event in prediction.run.events if isinstance(event, CallStarted)}


def test_a_reply_that_was_cut_short_is_asked_for_again(tmp_path: Path) -> None:
    rlm = RLM("q -> a", sub_lm=ScriptedLM([response("half a", finish_reason="length")]), journal=tmp_path)
    run_with(rlm, turn("print(llm_query('x'))"), turn("SUBMIT(a='x')"))
    _cut_after_lm_call(only_run(tmp_path), 1)
    rlm.sub_lm = ScriptedLM(["whole"])
    prediction, _ = resume(rlm, only_run(tmp_path), turn("SUBMIT(a='x')"))
    assert prediction.trajectory[0]["output"] == "whole"


def test_a_reply_that_ended_the_run_is_asked_for_again(tmp_path: Path) -> None:
    rlm = RLM("q -> n: int", max_iters=1, journal=tmp_path)
    assert isinstance(run_with(rlm, turn("x = 1"), fields(n="none"), fields(n="none")), FatalError)
    prediction, lm = resume(rlm, only_run(tmp_path), fields(n=2))
    assert (prediction.n, len(lm.requests)) == (2, 1)


def test_a_record_of_before_replies_were_kept_is_resumed_all_the_same(tmp_path: Path) -> None:
    rlm = RLM("q -> a", tools=[look], sub_lm=ScriptedLM(_STEPS), journal=tmp_path)
    run_with(rlm, turn(_AGENT))
    _cut_after_lm_call(only_run(tmp_path), 2)
    rewrite(only_run(tmp_path), lambda lines: [{k: v for k, v in line.items() if k != "answer"} for line in lines])
    rewrite(only_run(tmp_path), lambda lines: [{k: v for k, v in line.items() if k != "key"} for line in lines])
    rlm.sub_lm = again = ScriptedLM(_STEPS)
    prediction, _ = resume(rlm, only_run(tmp_path))
    assert (prediction.a, len(again.requests)) == ("engines", 3)


def test_what_has_ended_keeps_no_replies() -> None:
    replies = Replies()
    sub, turn_of_root = lm_called([], "re", role="sub", call=1, key="k"), lm_called([], "re", key="k")
    for event in (sub, turn_of_root, *call(1)):
        replies.learn(event)
    assert (replies.has_for(0, 1), replies.has_for(0, None)) == (True, True)  # a call that was cancelled got no answer
    replies.learn(replace(call(1)[1], answer="J1"))
    replies.learn(acted())
    assert (replies.has_for(0, 1), replies.has_for(0, None)) == (False, False)


@pytest.mark.parametrize(
    "reply",
    [
        ["text"],
        ["one", "two"],
        "a callable's",
        [{"text": "t", "reasoning_content": "r"}],
        [{"text": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}],
        [{"text": "half a pair \ud83d", "reasoning_content": ""}],
    ],
)
def test_a_reply_comes_back_as_it_was(reply: Any) -> None:
    is_lasting, answer = lasting(reply, None)
    text = reply[0] if isinstance(reply, list) and isinstance(reply[0], str) else ""
    assert is_lasting
    assert returned(lm_called([], text, answer=answer)) == reply


def test_reasoning_comes_back_with_a_reply(tmp_path: Path) -> None:
    parts = (ThinkingPart("hm"), TextPart("re"))
    thought = Response(
        id=None,
        model="m",
        message=Message(role="assistant", parts=parts),
        finish_reason="stop",
        usage=Usage(input_tokens=10, output_tokens=5),
    )
    rlm = RLM("q -> a", sub_lm=ScriptedLM([thought]), journal=tmp_path)
    run_with(rlm, turn("SUBMIT(a=llm_query('x'))"))
    _cut_after_lm_call(only_run(tmp_path), 1)
    rlm.sub_lm = again = ScriptedLM()
    prediction, _ = resume(rlm, only_run(tmp_path))
    assert (prediction.a, again.requests) == ("re", [])
