"""Where the RLMs of a program stand, in the words that dspy has for their predictors."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from rlm_module import RLM
from rlm_module.optimizers.paths import acting_predictor, modules_of, open_rlms, owner_of, plain_path, rlms_of


def _program() -> Any:
    program: Any = dspy.Module()
    program.reader = RLM("q -> a")
    program.steps = [dspy.Predict("q -> a"), RLM("q -> a")]
    program.named = {"first": RLM("q -> a")}
    return program


def test_rlms_are_told_by_the_beginnings_of_their_predictors_names() -> None:
    program = _program()
    assert list(rlms_of(program)) == ["reader", "steps[1]", "named['first']"]
    names = [name for name, _ in program.named_predictors()]
    assert all(acting_predictor(path) in names for path in rlms_of(program))
    assert all(owner_of(acting_predictor(path)) == path for path in rlms_of(program))


def test_an_rlm_that_is_the_program_has_an_empty_path() -> None:
    rlm = RLM("q -> a")
    assert rlms_of(rlm) == {"": rlm}
    assert next(name for name, _ in rlm.named_predictors()) == acting_predictor("") == "generate_action"
    assert owner_of("generate_action") == owner_of("extract") == ""


def test_frozen_parts_are_there_too() -> None:
    program = _program()
    program.reader._compiled = True
    assert modules_of(program)["reader"] is program.reader
    assert next(iter(modules_of(program))) == ""


def test_an_rlm_is_open_where_some_way_to_it_is() -> None:
    program, frozen = _program(), _program()
    program.frozen, program.ways = frozen, [frozen.reader]
    frozen._compiled = program.reader._compiled = True
    assert list(open_rlms(program)) == ["steps[1]", "named['first']", "frozen.reader"]
    assert {"reader", "frozen.steps[1]"} <= rlms_of(program).keys()


def test_the_mark_of_the_program_itself_does_not_count() -> None:
    program = _program()
    program._compiled = True
    assert open_rlms(program) == rlms_of(program)


@pytest.mark.parametrize(("path", "plain"), [("self", ""), ("self.reader", "reader"), ("self.self.x", "self.x")])
def test_the_program_itself_is_left_out_of_a_path(path: str, plain: str) -> None:
    assert plain_path(path) == plain


def test_a_predictor_that_is_no_rlms_is_its_own() -> None:
    assert owner_of("steps[0]") == "steps[0]"
    assert owner_of("check.predict") == "check.predict"
