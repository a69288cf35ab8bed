"""Conversations out of LM calls: each reply is in exactly one, with everything that led to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlm_module.events import AnyEvent, LMCalled, Scored, Usage
from rlm_module.journal import conversations
from tests.journal.samples import acted, assistant, finished, lm_called, started, user

_SYSTEM = {"role": "system", "content": "You are asked."}
_CACHED = Usage(calls=1, cached_calls=1)


def _lines(*events: AnyEvent, **options: Any) -> list[dict[str, Any]]:
    run = (started(), *events, finished())
    return [json.loads(conversation.as_line()) for conversation in conversations(run, **options)]


def _texts(line: dict[str, Any]) -> list[str]:
    return [message["content"] for message in line["messages"]]


def _turns(count: int, **changes: Any) -> list[LMCalled]:
    """Turns each of which is sent what came before."""
    first = lm_called([_SYSTEM, user("q1")], "r1", **changes)
    later = [
        lm_called([assistant(f"r{n - 1}"), user(f"q{n}")], f"r{n}", shared=2 * n - 2, **changes)
        for n in range(2, count + 1)
    ]
    return [first, *later]


def test_turns_that_go_on_are_one_conversation() -> None:
    [line] = _lines(*_turns(3), acted())
    assert _texts(line) == ["You are asked.", "q1", "r1", "q2", "r2", "q3", "r3"]
    assert line["messages"][-1]["role"] == "assistant"
    facts = {name: value for name, value in line.items() if name != "messages"}
    assert facts == {"run_id": "r1", "node": 0, "depth": 0, "role": "root", "model": "m", "score": None}


def test_a_conversation_that_was_compacted_ends_and_another_begins() -> None:
    compacted = lm_called([user("summary")], "after", shared=1)
    goes_on = lm_called([assistant("after"), user("q")], "last", shared=2)
    lines = _lines(*_turns(2), compacted, goes_on)
    assert [_texts(line)[1:] for line in lines] == [
        ["q1", "r1", "q2", "r2"],
        ["summary", "after", "q", "last"],
    ]


def test_each_node_and_role_has_conversations_of_its_own() -> None:
    root, child = _turns(2), _turns(2, role="child", node=1, depth=1)
    sub = lm_called([user("s")], "t", role="sub", call=1)
    extract = lm_called([user("e")], "f", role="extract")
    lines = _lines(root[0], child[0], sub, child[1], root[1], extract)
    assert sorted((line["role"], line["node"], len(line["messages"])) for line in lines) == [
        ("child", 1, 5),
        ("extract", 0, 2),
        ("root", 0, 5),
        ("sub", 0, 2),
    ]


def test_two_replies_to_the_same_request_are_both_kept() -> None:
    again = lm_called([], "other", shared=2)
    lines = _lines(_turns(1)[0], again)
    assert [_texts(line)[-1] for line in lines] == ["r1", "other"]


def test_a_request_that_goes_on_without_the_reply_leaves_it_a_line_of_its_own() -> None:
    goes_on = lm_called([user("q2")], "r2", shared=2)
    assert [_texts(line)[1:] for line in _lines(_turns(1)[0], goes_on)] == [["q1", "r1"], ["q1", "q2", "r2"]]


def test_a_call_that_failed_is_left_out_and_breaks_nothing() -> None:
    first, second = _turns(2)
    failed = lm_called(list(second.messages), "", shared=2, error="lm: 503")
    retried = lm_called([], "r2", shared=4)
    [line] = _lines(first, failed, retried)
    assert _texts(line)[1:] == ["q1", "r1", "q2", "r2"]
    [line] = _lines(first, failed)
    assert _texts(line)[1:] == ["q1", "r1"]


def test_sub_calls_are_a_line_each_and_those_from_the_cache_once() -> None:
    paid = [lm_called([user("vote")], "yes", role="sub") for _ in range(2)]
    cached = [lm_called([user("vote")], "yes", role="sub", usage=_CACHED) for _ in range(3)]
    other = lm_called([user("other")], "no", role="sub", usage=_CACHED)
    assert len(_lines(*paid, *cached, other, other)) == 3


def test_the_cache_is_known_across_runs() -> None:
    cached = lm_called([user("vote")], "yes", role="sub", usage=_CACHED)
    seen: set[str] = set()
    assert [len(_lines(cached, seen=seen)) for _ in range(2)] == [1, 0]


def test_sub_calls_may_share_messages_too() -> None:
    first = lm_called([_SYSTEM, user("a")], "1", role="sub")
    second = lm_called([user("b")], "2", role="sub", shared=1)
    assert [_texts(line) for line in _lines(first, second)] == [
        ["You are asked.", "a", "1"],
        ["You are asked.", "b", "2"],
    ]


def test_a_call_whose_beginning_the_record_lacks_is_left_out_with_what_follows_on_it() -> None:
    orphan = lm_called([user("q9")], "r9", shared=7)
    follower = lm_called([assistant("r9"), user("q10")], "r10", shared=8)
    assert _lines(orphan, follower) == []
    assert len(_lines(orphan, follower, *_turns(1))) == 1


def test_calls_of_users_tools_are_not_the_rlms() -> None:
    assert _lines(lm_called([user("a")], "b", role="tool")) == []


@pytest.mark.parametrize(("scores", "kept"), [([], False), ([0.4], False), ([0.5], True), ([0.9, 0.1], False)])
def test_a_lowest_score_keeps_runs_whose_last_is_as_high(scores: list[float], kept: bool) -> None:
    scored = [Scored(run_id="r1", score=score) for score in scores]
    lines = _lines(*_turns(1), *scored, min_score=0.5)
    assert bool(lines) is kept
    assert [line["score"] for line in _lines(*_turns(1), *scored)] == [scores[-1] if scores else None]


def test_text_that_is_no_utf8_and_parts_of_other_types_are_lines_all_the_same() -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": "\ud800\n"}, {"data": b"\xff", "of": {1}}]}
    [conversation] = conversations([started(), lm_called([parts], "\u2028")])
    line = conversation.as_line()
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["messages"][0]["content"][0]["text"] == "\ud800\n"
