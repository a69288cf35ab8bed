"""How often the reflection model is asked, and what becomes of texts that cannot be tried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rlm_module import RLM
from rlm_module.optimizers import Dropped
from rlm_module.optimizers.evolution.briefs import Brief
from rlm_module.optimizers.evolution.components import Component
from rlm_module.optimizers.evolution.proposing import Proposer

CURRENT = "Be brief.\n- Probe first."
BRIEF = Brief(Component("reader.strategy", "reader", "strategy"), "q -> answer", RLM("q -> answer"), 500)


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
