"""Requests to the reflection model, and what is taken from its replies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module import RLM
from rlm_module.optimizers import Dropped
from rlm_module.optimizers.evolution.components import Component
from rlm_module.optimizers.evolution.proposing import Brief, Proposer, fence_for, read_text
from rlm_module.optimizers.evolution.rollouts import Rollout
from rlm_module.optimizers.trajectories.diagnosis import Diagnosis
from rlm_module.optimizers.trajectories.records import RunRecord

CURRENT = "Be brief.\n- Probe first."
BRIEF = Brief(Component("reader.strategy", "reader", "strategy"), "q -> answer", RLM("q -> answer"), 500)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("```\nBe long.\n```", "Be long."),
        ("Thoughts first.\n\n```text\nBe long.\n- Twice.\n```\nDone.", "Be long.\n- Twice."),
        (
            "```markdown\nWrite\n```python\nprint(1)\n```\nand go on.\n```",
            "Write\n```python\nprint(1)\n```\nand go on.",
        ),
        ("````\nWrite\n```\nprint(1)\n```\nand go on.\n````", "Write\n```\nprint(1)\n```\nand go on."),
        ("It was:\n```\nBe brief, then.\n```\nNow:\n```\nBe long, then.\n```", "Be long, then."),
        (
            "```\nBe long, and do this as well as you can.\n```\nSuch as:\n```\nx = 1\n```",
            "Be long, and do this as well as you can.",
        ),
        ("```\nBe long.", "Be long."),
        ("Be long.\n- Twice.", "Be long.\n- Twice."),
        ("Here is the new text:\nBe long.", "Be long."),
        ("No change is needed.", CURRENT),
        ("Nothing in these records calls for a change.", CURRENT),
        ("", ""),
        ("I'm sorry, but I can't help with that.", ""),
        ("I think so. " * 400, ""),
    ],
)
def test_the_text_is_found_in_any_reply(reply: str, text: str) -> None:
    assert read_text(reply, CURRENT) == text


_LINES = st.lists(
    st.sampled_from(["Be long.", "- Item", "```", "```python", "x = 1", "", "````", "    code"]), max_size=12
)


@given(_LINES)
def test_a_text_survives_the_fence_that_it_is_shown_in(lines: list[str]) -> None:
    text = "\n".join(["First.", *lines, "Last."])
    fence = fence_for(text)
    assert read_text(f"Here:\n{fence}\n{text}\n{fence}\nBye.", "other") == text


@given(st.text(max_size=300))
def test_no_reply_is_too_odd(reply: str) -> None:
    assert isinstance(read_text(reply, CURRENT), str)


class _Model:
    def __init__(self, *replies: str) -> None:
        self.requests: list[str] = []
        self._replies: Iterator[str] = iter(replies)
        self.dropped: list[Dropped] = []

    def __call__(self, request: str) -> str:
        self.requests.append(request)
        return next(self._replies, "")

    def propose(self, *, most: int = 4) -> str:
        proposer = Proposer({"reader.strategy": BRIEF}, self, self.dropped.append)
        return proposer.propose("reader.strategy", CURRENT, ["it printed foo", "it failed"], most=most)


def _fenced(text: str) -> str:
    return f"```\n{text}\n```"


def test_it_is_asked_until_the_text_no_longer_changes() -> None:
    model = _Model(_fenced("One."), _fenced("One.\nTwo."), _fenced("One.\n\nTwo."))
    assert model.propose() == "One.\nTwo."
    first, second, third = model.requests
    assert f"```\n{CURRENT}\n```" in first
    assert "it printed foo" in first
    assert "it failed" in first
    assert "last revised" not in first
    assert "```\nOne.\n```" in second
    assert "last revised" in second
    assert "```\nOne.\nTwo.\n```" in third


def test_it_is_asked_no_more_often_than_allowed() -> None:
    model = _Model(*(_fenced(f"Text {n}.") for n in range(9)))
    assert model.propose(most=3) == "Text 2."
    assert len(model.requests) == 3


def test_a_faulty_text_is_mended_once() -> None:
    model = _Model(_fenced("Call `nothing_there(q)`."), _fenced("Call nobody."), "")
    assert model.propose() == "Call nobody."
    assert "nothing_there" in model.requests[1]
    assert "which its REPL does not offer" in model.requests[1]


def test_one_that_stays_faulty_is_dropped() -> None:
    model = _Model(_fenced("Call `nothing_there(q)` within 3 turns."), _fenced("Call `nothing_there(q)`."))
    assert model.propose() == CURRENT
    (dropped,) = model.dropped
    assert dropped.component == "reader.strategy"
    assert dropped.faults == (
        "It names `nothing_there`, which its REPL does not offer; name no function that is not there.",
    )


def test_one_that_is_too_long_is_mended_or_dropped() -> None:
    model = _Model(_fenced("x" * 501), _fenced("y" * 400), _fenced("y" * 400))
    assert model.propose() == "y" * 400
    assert "the most is 500" in model.requests[1]


@pytest.mark.parametrize(
    ("reply", "fault"), [("", "replied with nothing"), ("I'm sorry, no.", "refused"), ("Well, " * 900, "an essay")]
)
def test_what_is_no_text_is_dropped_without_another_call(reply: str, fault: str) -> None:
    model = _Model(reply)
    assert model.propose() == CURRENT
    assert len(model.requests) == 1
    assert fault in model.dropped[0].faults[0]


def test_the_request_is_the_same_each_time_and_says_what_is_told_elsewhere() -> None:
    one, other = (BRIEF.request(CURRENT, ["a", "b"]) for _ in range(2))
    assert one == other
    assert "told to the model elsewhere" in one
    plain = Brief(Component("answer", "answer", "predictor"), "q -> a", None, 500)
    assert "REPL" not in plain.request("Answer.", ["a"])


def test_a_record_tells_what_its_rlm_did_and_what_was_said_of_it() -> None:
    diagnosis = Diagnosis(3, 2, 0, 0, 0, 1, 0, None, "submitted", False, 0.01, 100, 1.0)
    rollout = Rollout(
        score=0.25,
        feedback="Too long.",
        notes={"reader": "Mind the date.", "writer": "Fine."},
        records=(RunRecord("reader", "Turn 1", diagnosis), RunRecord("writer", "Turn 2", diagnosis)),
        inputs="q: Which day?",
        answer="answer: Monday",
    )
    assert BRIEF.record(rollout) == (
        "Inputs of the program:\nq: Which day?\n"
        "Turn 1\n2 turns (of 3) ran code that failed.\n"
        "Outputs of the program:\nanswer: Monday\n"
        "Score: 0.25\n"
        "Feedback: Too long.\nMind the date."
    )


def test_a_record_of_one_that_did_not_come_to_act_says_so() -> None:
    told = BRIEF.record(Rollout(score=0.0, fault="The program failed.", feedback="The program failed.")).splitlines()
    assert told[2:] == [
        "It did not run.",
        "The program gave no outputs.",
        "Score: 0",
        "Feedback: The program failed.",
    ]


def test_a_plain_predictors_record_is_what_it_was_given_and_gave() -> None:
    brief, step = Brief(Component("answer", "answer", "predictor"), "q -> a", None, 500), "Given:\nq: 1\nGave:\na: 2"
    assert step in brief.record(Rollout(score=0.0, steps={"answer": step}))
