"""OfflineLM as the root and the sub-LM of real runs in the sandbox."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any, Literal

import dspy
import pytest

from rlm_module import RLM, OfflineLM
from tests.offline.test_root import HAYSTACK, LINES, PIPED, QUESTION, TRUTH, WHERE

ADAPTERS = [dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()]


def _stages(pred: Any) -> list[str]:
    return [step["code"].split(":")[0].removeprefix("# ") for step in pred.trajectory]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
def test_it_counts_under_every_adapter(adapter: dspy.Adapter) -> None:
    with dspy.context(lm=OfflineLM(), adapter=adapter):
        pred = RLM("context: str, query: str -> count: int")(context=PIPED, query=QUESTION)
    assert pred.count == TRUTH
    assert _stages(pred) == ["Look", "Columns", "Count", "Submit"]
    assert (pred.termination_reason, pred.cost_usd) == ("submitted", 0.0)
    assert pred.usage.total.tokens > 0


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
def test_it_reads_with_sub_calls_under_every_adapter(adapter: dspy.Adapter) -> None:
    with dspy.context(lm=OfflineLM(), adapter=adapter):
        pred = RLM("files: dict[str, str], question -> answer, evidence, kind: Literal['OSPREY', 'PLOVER']")(
            files={"a.txt": "\n".join(HAYSTACK[:300]), "b.txt": "\n".join(HAYSTACK[300:])}, question=WHERE
        )
    assert (pred.answer, pred.kind) == ("5Q-4288-OSPREY", "OSPREY")
    assert pred.evidence.endswith("The vault code of the Larkspur depot is 5Q-4288-OSPREY.")
    assert _stages(pred) == ["Look", "Rank", "Read", "Submit"]


def test_no_run_warns_of_anything() -> None:
    with warnings.catch_warnings(), dspy.context(lm=OfflineLM()):
        warnings.simplefilter("error")
        pred = RLM("context, query -> answer")(context="\n".join(HAYSTACK), query=WHERE)
    assert pred.answer == "5Q-4288-OSPREY"


def test_awaited_runs_answer_alike() -> None:
    async def ask() -> Any:
        with dspy.context(lm=OfflineLM()):
            return await RLM("context: list[str], query -> answer").acall(context=HAYSTACK, query=WHERE)

    assert asyncio.run(ask()).answer == "5Q-4288-OSPREY"


def test_without_sub_calls_it_reads_in_the_repl() -> None:
    with dspy.context(lm=OfflineLM()):
        pred = RLM("context, query -> answer", max_depth=0)(context="\n".join(HAYSTACK), query=WHERE)
    assert pred.answer == "5Q-4288-OSPREY"
    assert not any("llm_query" in step["code"] for step in pred.trajectory)


def test_few_sub_calls_are_kept_to() -> None:
    with dspy.context(lm=OfflineLM()):
        pred = RLM("context, query -> answer", max_llm_calls=2)(context="\n".join(HAYSTACK[:60]), query=WHERE)
    assert "passages[:2]" in pred.trajectory[2]["code"]
    assert len(pred.trajectory) == 4


def test_the_last_turn_submits_what_it_finds() -> None:
    with dspy.context(lm=OfflineLM()):
        pred = RLM("context, query -> answer", max_iters=3)(context="\n".join(HAYSTACK), query=WHERE)
    assert (pred.answer, pred.termination_reason) == ("5Q-4288-OSPREY", "submitted")


def test_too_few_turns_end_in_an_answer_drawn_up() -> None:
    with dspy.context(lm=OfflineLM()):
        pred = RLM("context, query -> count: int", max_iters=2)(context=PIPED, query=QUESTION)
    assert pred.termination_reason == "max_iters"
    assert isinstance(pred.count, int)


def test_the_task_is_the_question_where_no_input_asks() -> None:
    story = "The mill grinds corn. Rain fell. The mill by the river grinds corn for the town. Bob left. Corn feeds us."
    with dspy.context(lm=OfflineLM()):
        pred = RLM("story -> summary")(story=story)
    assert pred.summary == "The mill grinds corn. The mill by the river grinds corn for the town. Corn feeds us."


class Verdict(dspy.Signature):
    """Decide whether anybody asked for a refund."""

    messages: list[str] = dspy.InputField()
    claim: str = dspy.InputField()
    holds: bool = dspy.OutputField()
    kind: Literal["refund", "gift"] = dspy.OutputField()
    found: list[str] = dspy.OutputField()


def test_a_signature_of_many_types_is_served() -> None:
    with dspy.context(lm=OfflineLM()):
        pred = RLM(Verdict)(messages=[*LINES[:40], "Zed asked for a gift."], claim="Zed asked for a gift.")
    assert (pred.holds, pred.kind) == (True, "gift")
    assert pred.found == ["Zed asked for a gift."]
    assert pred.termination_reason == "submitted"


def test_demos_of_its_own_runs_are_not_taken_for_this_run() -> None:
    with dspy.context(lm=OfflineLM()):
        rlm: Any = RLM("context, query -> answer")
        taught = rlm(context="\n".join(HAYSTACK), query=WHERE)
        rlm.generate_action.demos = [
            dspy.Example(request="Task.\n- `context` (str, 5 characters)\n```\nhello\n```", **step)
            for step in ({"reasoning": s["reasoning"], "code": s["code"]} for s in taught.trajectory)
        ]
        pred = rlm(context="\n".join(HAYSTACK), query=WHERE)
    assert _stages(pred) == ["Look", "Rank", "Read", "Submit"]
