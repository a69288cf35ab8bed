"""The texts of a program: which there are, and that a copy with others leaves the program alone."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from rlm_module import RLM, InputError
from rlm_module.optimizers.evolution.components import Components


def lookup(word: str) -> str:
    """Finds a word."""
    return word


class _Program(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = [RLM("q -> notes", tools=[lookup]), RLM("notes -> answer", max_depth=0)]
        self.check = dspy.Predict("answer -> ok")


def test_each_rlm_and_predictor_has_its_own() -> None:
    components = Components(_Program())
    assert list(components.parts) == [
        "steps[0].strategy",
        "steps[0].extract",
        "steps[0].tools.lookup",
        "steps[0].sub_calls",
        "steps[1].strategy",
        "steps[1].extract",
        "check",
    ]
    assert components.owners == ["steps[0]", "steps[1]", "check"]
    assert components.task("steps[1]") == "notes -> answer"


def test_an_rlm_that_is_the_program_has_no_path() -> None:
    components = Components(RLM("q -> answer"), ["strategy"])
    assert [(part.name, part.owner) for part in components.parts.values()] == [("strategy", "")]


def test_a_copy_has_the_new_texts_and_the_program_its_own() -> None:
    program = _Program()
    program._compiled = True  # pyright: ignore[reportPrivateUsage]
    components = Components(program)
    before = components.texts(program)
    assert before["steps[0].tools.lookup"] == "Finds a word."
    new = {name: f"New text of {name}." for name in before}
    copied = components.copy_with(program, new)
    assert components.texts(copied) == new
    assert components.texts(program) == before
    assert copied._compiled is False  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]


def test_a_tools_own_description_is_not_stored_as_learned() -> None:
    program = _Program()
    components = Components(program)
    copied: Any = components.copy_with(program, components.texts(program))
    assert not copied.steps[0].wording


def test_what_is_marked_as_compiled_is_left_as_it_is() -> None:
    program = _Program()
    program.steps[0]._compiled = True  # pyright: ignore[reportPrivateUsage]
    assert Components(program).owners == ["steps[1]", "check"]
    program.steps[1]._compiled = True  # pyright: ignore[reportPrivateUsage]
    del program.check
    with pytest.raises(InputError, match="nothing to compile"):
        Components(program)


def test_where_only_what_is_to_be_learned_is_lacking_that_is_said() -> None:
    with pytest.raises(InputError, match=r"^RLM has nothing of what learn=\['tools'\] names; name more"):
        Components(RLM("q -> answer"), ["tools"])
