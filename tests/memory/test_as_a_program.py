"""A memory among other programs of DSPy: saved and loaded, compiled, part of a larger one, given other LMs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import InputError, capture_runs, thaw
from rlm_module.memory import MemorySystem, SqliteStore
from rlm_module.signatures import STRATEGY
from tests.memory.cast import AS_OF, Cast
from tests.scripted import fields, texts

BIKE = "hit = search('bicycle', k=1)[0]\nSUBMIT(answer='A red Cube', evidence=[hit.id])"


def test_a_program_is_saved_without_its_store_and_loaded_into_another(store: SqliteStore, tmp_path: Path) -> None:
    learned, other = MemorySystem(store, "ann"), MemorySystem(store, "bob")
    learned.answer.generate_action.signature = learned.answer.generate_action.signature.with_instructions("Look twice.")
    learned.read.signature = learned.read.signature.with_instructions("Read slowly.")
    learned.save(tmp_path / "memory.json")
    other.load(tmp_path / "memory.json")
    assert other.answer.generate_action.signature.instructions == "Look twice."
    assert other.read.signature.instructions == "Read slowly."
    assert "4711" not in (tmp_path / "memory.json").read_text()
    learned.save(tmp_path / "whole", save_program=True)
    whole: Any = dspy.load(str(tmp_path / "whole"), allow_pickle=True)
    with pytest.raises(InputError, match=r"loaded without its store; set `memory\.store` to one\.$"):
        whole(question="Which?", as_of=AS_OF)
    whole.store = store
    with dspy.context(lm=Cast(BIKE).lm):
        assert whole(question="Which bicycle?", as_of=AS_OF).answer == "A red Cube"


def test_it_is_a_program_that_optimizers_know(store: SqliteStore) -> None:
    program = MemorySystem(store, "ann")
    assert {name for name, _ in program.named_predictors()} == {
        "answer.generate_action",
        "answer.extract",
        "read",
        "check",
    }
    copied = program.deepcopy()
    assert copied.store is store
    strategy = program.answer.generate_action.signature.instructions
    assert strategy.startswith(STRATEGY)
    assert "map_sessions" in strategy
    plain = MemorySystem(store, "ann", delegates=False).answer.generate_action.signature.instructions
    assert "map_sessions" not in plain


def test_optimizers_compile_it_and_what_it_learned_is_saved(store: SqliteStore, tmp_path: Path) -> None:
    def read(turns: list[dict[str, Any]], question: str) -> str:
        return fields(answer="A red Cube", turns=f'["{turns[0]["id"]}"]')

    def is_right(gold: Any, prediction: Any, trace: Any = None) -> bool:
        return gold.answer == prediction.answer

    cell = "r = ask_session(search('bicycle')[0].session_id, 'Which?')\nSUBMIT(answer=r.answer, evidence=list(r.turns))"
    gold = dspy.Example(question="Which bicycle?", as_of=AS_OF, answer="A red Cube").with_inputs("question", "as_of")
    cast = Cast(cell, cell, reader=read)
    with dspy.context(lm=cast.lm):
        optimizer = dspy.BootstrapFewShot(metric=is_right, max_bootstrapped_demos=1, max_labeled_demos=0)
        compiled: Any = thaw(optimizer.compile(MemorySystem(store, "ann"), trainset=[gold]))
        compiled.save(tmp_path / "compiled.json")
        loaded: Any = MemorySystem(store, "ann")
        loaded.load(tmp_path / "compiled.json")
        assert loaded(question="Which bicycle?", as_of=AS_OF).answer == "A red Cube"
    for program in (compiled, loaded):
        learned = {name: len(part.demos) for name, part in program.named_predictors()}
        assert learned == {"answer.generate_action": 1, "answer.extract": 0, "read": 1, "check": 1}
    messages = [text for _, text in texts(cast.lm.requests[-1])]  # to the check, with its demonstration
    assert sum("[[ ## later ## ]]" in text for text in messages[1:]) == 2


def test_runs_inside_of_a_larger_program_are_seen_by_name(store: SqliteStore) -> None:
    class Helper(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = MemorySystem(store, "ann")

        def forward(self, question: str) -> Any:
            return self.memory(question=question, as_of=AS_OF)

    with dspy.context(lm=Cast(BIKE).lm), capture_runs() as runs:
        assert Helper()(question="Which bicycle?").answer == "A red Cube"
    assert [run.path for run in runs] == ["self.memory.answer"]


def test_set_lm_replaces_every_lm(store: SqliteStore) -> None:
    def read(turns: list[dict[str, Any]], question: str) -> str:
        return fields(answer="A red Cube", turns=f'["{turns[0]["id"]}"]')

    cell = "r = ask_session(search('bicycle')[0].session_id, 'Which?')\nSUBMIT(answer=r.answer, evidence=list(r.turns))"
    cast = Cast(cell, reader=read)
    program = MemorySystem(store, "ann")
    program.set_lm(cast.lm)
    prediction = program(question="Which bicycle?", as_of=AS_OF)
    assert prediction.answer == "A red Cube"
    assert [part for part, _ in cast.asked] == ["root", "reader", "check"]
    assert prediction.usage.total.calls == 3
    assert prediction.run is not None
    assert prediction.run.usage.by_role["tool"].calls == 1
