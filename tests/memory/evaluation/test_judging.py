"""The model that judges: which rule it is sent, and what becomes of its verdict."""

from __future__ import annotations

import pytest

from rlm_module.memory.evaluation.cases import QUESTION_TYPES, Key, QuestionType
from rlm_module.memory.evaluation.judging import ExactMatch, ModelJudge, rule_for
from tests.scripted import ScriptedLM, fields, texts


def key(kind: QuestionType = "single-session-user", *, is_abstention: bool = False) -> Key:
    return Key(question_type=kind, answer="Rex", is_abstention=is_abstention, sessions=frozenset(), turns=frozenset())


def test_there_are_five_rules() -> None:
    assert len({rule_for(key(kind)) for kind in QUESTION_TYPES} | {rule_for(key(is_abstention=True))}) == 5


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (key(), "same in other words"),
        (key("single-session-assistant"), "same in other words"),
        (key("multi-session"), "holds only a part"),
        (key("temporal-reasoning"), "off by one"),
        (key("knowledge-update"), "latest state"),
        (key("single-session-preference"), "puts it to use"),
        (key("knowledge-update", is_abstention=True), "cannot be answered"),
    ],
)
@pytest.mark.parametrize("is_right", [True, False])
def test_a_verdict_follows_the_rule_of_its_type(asked: Key, words: str, is_right: bool) -> None:
    lm = ScriptedLM([fields(is_right=is_right)])
    assert ModelJudge(lm, "a/model").is_right("What is my dog called?", "It is Rex.", asked) is is_right
    said = " ".join(" ".join(text for _, text in texts(lm.requests[0])).split())
    assert words in said
    assert "It is Rex." in said


def test_the_report_says_that_figures_are_comparable_only() -> None:
    about = ModelJudge(ScriptedLM(), "a/model").about
    assert "a/model" in about
    assert "comparable with published ones, not identical" in about


def test_exact_match_finds_no_answer_right_where_there_is_none() -> None:
    assert ExactMatch().is_right("", "rex", key())
    assert not ExactMatch().is_right("", "Max", key())
    assert not ExactMatch().is_right("", "Rex", key(is_abstention=True))
