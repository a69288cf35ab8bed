"""What only the scoring may know reaches no LM and no store, whichever arm is asked."""

from __future__ import annotations

import copy
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dspy
import pytest

from benchmarks.memory_model import SimulatedModel, simulated_lm
from benchmarks.memory_reader import SimulatedReader
from rlm_module.memory import SqliteStore
from rlm_module.memory.arms import ARMS, make_arm
from rlm_module.memory.evaluation import GeneratedQuestion, ask, case_of, generate

MARK = "zqxjk"


@pytest.fixture(scope="module")
def question() -> GeneratedQuestion:
    return next(iter(generate(seed=11, questions=1, sessions=25)))


def marked(question: GeneratedQuestion) -> dict[str, Any]:
    """Its record with a mark in everything that tells of the answer."""
    record = copy.deepcopy(question.record)
    names = {name: f"answer_{MARK}_{number}" for number, name in enumerate(record["haystack_session_ids"])}
    record["question_id"] = f"{MARK}_id_abs"
    record["answer"] = f"{MARK} answer"
    record["haystack_session_ids"] = list(names.values())
    record["answer_session_ids"] = [names[name] for name in record["answer_session_ids"]]
    record["label"] = f"{MARK} label"
    for turn in (turn for session in record["haystack_sessions"] for turn in session):
        turn["label"] = f"{MARK} turn"
    return record


@pytest.mark.parametrize("name", ARMS)
def test_no_prompt_and_no_byte_of_the_store_tells_of_the_answer(
    name: str, question: GeneratedQuestion, tmp_path: Path
) -> None:
    record = marked(question)
    model = SimulatedModel(SimulatedReader(question))
    prompts: list[str] = []

    def reply(messages: list[tuple[str, str]]) -> str:
        prompts.extend(text for _, text in messages)
        return model.reply(messages)

    @contextmanager
    def make() -> Generator[Any]:
        with closing(SqliteStore(tmp_path / "memory.db")) as store:
            yield make_arm(name, store, "user")

    with dspy.context(lm=simulated_lm(reply)):
        answer = ask(case_of(record), make, evidence_only=name == "oracle")
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    said = "\n".join(prompts)
    assert question.statements[0].text.encode() in stored or name == "oracle"  # the history is there
    assert record["question"] in said
    for mark in (MARK, "has_answer", "answer_session", record["question_type"]):
        assert mark not in said
        assert mark.encode() not in stored
    if name not in ("bm25", "full_history"):
        assert answer.answer == question.record["answer"]
