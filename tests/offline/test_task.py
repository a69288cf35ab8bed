"""What the root reads out of its requests: dspy.RLM's here, whose one message holds the whole transcript."""

from __future__ import annotations

from typing import Any

import dspy
import pytest
from dspy.primitives.local_interpreter import LocalInterpreter

from rlm_module.offline import OfflineLM
from rlm_module.offline.prompt import Field, Prompt
from rlm_module.offline.task import Task

TEXT = "\n".join(f"2025-03-{day:02} | u_{day % 3} | {('refund', 'bug')[day % 2]} | note" for day in range(1, 29))
ADAPTERS = [dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
def test_it_is_a_root_for_dspy_rlm(adapter: dspy.Adapter) -> None:
    with dspy.context(lm=OfflineLM(), adapter=adapter):
        rlm: Any = dspy.RLM("log: str, question: str -> count: int", interpreter_factory=LocalInterpreter)
        pred = rlm(log=TEXT, question="How many records of user u_1 are labelled 'refund'?")
    assert pred.count == sum(day % 3 == 1 and day % 2 == 0 for day in range(1, 29))
    assert len(pred.trajectory) == 4


def _task(system: str) -> Task:
    return Task.of(Prompt(system, (("user", "Answer."),)))


@pytest.mark.parametrize(
    ("told", "fields"),
    [
        ("SUBMIT(answer: str)", (Field("answer", "str"),)),
        ("call `SUBMIT(n: int, tags: list[str])` once", (Field("n", "int"), Field("tags", "list[str]"))),
        (
            "SUBMIT(kind: Literal['a, b', 'c)'], ok: bool | None)",
            (Field("kind", "Literal['a, b', 'c)']"), Field("ok", "bool")),
        ),
        ("SUBMIT(answer=..., why=...)", (Field("answer"), Field("why"))),
        ("nothing of the kind", (Field("answer"),)),
    ],
)
def test_outputs_are_read_from_the_call_that_submits_them(told: str, fields: tuple[Field, ...]) -> None:
    assert _task(told).outputs == fields


def test_functions_count_as_there_only_where_they_are_told() -> None:
    assert not _task("SUBMIT(answer: str)").batched
    assert _task("`llm_query_batched(prompts)`").batched
    assert _task("`llm_query(prompt)`").single
