"""What makes no sense is refused in one sentence, before anything is paid for."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from rlm_module import InputError
from rlm_module.optimizers import RLMGEPA, RLMBootstrap, measure, trajectory_feedback
from rlm_module.optimizers.arguments import check_count, check_program, checked_examples, is_finite

GOOD = dspy.Example(q="1", a="1").with_inputs("q")


def _measure(metric: Any) -> Any:
    return measure(dspy.Module(), [GOOD], metric)


@pytest.mark.parametrize("takes", [RLMGEPA, RLMBootstrap, trajectory_feedback, _measure])
def test_a_metric_is_a_function(takes: Any) -> None:
    with pytest.raises(InputError, match=r"^metric must be a function of an example and a prediction, not str; pass"):
        takes("exact")


@pytest.mark.parametrize(
    ("optimizer", "others", "told"),
    [
        (RLMGEPA, {"auto": "light"}, "RLMGEPA takes no auto; give max_runs or max_cost_usd."),
        (RLMGEPA, {"log_dir": "runs"}, "RLMGEPA takes no log_dir; give run_dir."),
        (RLMGEPA, {"use_merge": False}, "RLMGEPA takes no use_merge; leave it out."),
        (RLMBootstrap, {"metric_threshold": 0.5}, "RLMBootstrap takes no metric_threshold; give threshold."),
    ],
)
def test_options_of_dspys_optimizers_are_told_what_to_give_instead(optimizer: Any, others: Any, told: str) -> None:
    with pytest.raises(InputError) as raised:
        optimizer(lambda gold, prediction: 1.0, **others)
    assert str(raised.value) == told


@pytest.mark.parametrize("optimizer", [RLMGEPA, RLMBootstrap])
def test_a_compile_takes_no_options(optimizer: Any) -> None:
    with pytest.raises(InputError, match=f"^compile takes no max_runs; options are given to {optimizer.__name__}"):
        optimizer(lambda gold, prediction: 1.0).compile(dspy.Module(), trainset=[GOOD], max_runs=3)


def test_a_program_is_made_before_it_is_compiled() -> None:
    with pytest.raises(InputError, match=r"^The student must be a dspy\.Module, not a class; pass Module\(\.\.\.\)"):
        check_program("student", dspy.Module)
    with pytest.raises(InputError, match=r"^The teacher must be a dspy\.Module, not str\."):
        check_program("teacher", "program")


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", None])
def test_a_count_is_at_least_1(value: Any) -> None:
    with pytest.raises(InputError, match=r"^max_runs must be a whole number of at least 1, not "):
        check_count("max_runs", value)
    check_count("max_runs", 1)
    check_count("max_runs", None, may_be_none=True)


@pytest.mark.parametrize(
    ("value", "is_one"), [(1, True), (0.5, True), (True, False), ("1", False), (float("nan"), False), (None, False)]
)
def test_a_number_is_finite_and_no_bool(value: Any, is_one: bool) -> None:
    assert is_finite(value) is is_one


@pytest.mark.parametrize(
    ("examples", "told"),
    [
        ([], "The devset is empty; give at least one dspy.Example."),
        (None, "The devset must be a list of dspy.Example, not NoneType."),
        ("text", "The devset must be a list of dspy.Example, not str."),
        ([GOOD, {"q": 1}], "Item 1 of the devset is a dict, not a dspy.Example."),
        ([dspy.Example(q=1)], "Example 0 of the devset does not tell its inputs; call `.with_inputs(...)` with"),
        ([dspy.Example(q=1).with_inputs()], "Example 0 of the devset does not tell its inputs; call `.with_inputs"),
    ],
)
def test_examples_tell_their_inputs(examples: Any, told: str) -> None:
    with pytest.raises(InputError) as raised:
        checked_examples(examples, "devset")
    assert str(raised.value).startswith(told)


def test_examples_may_come_from_anywhere() -> None:
    assert checked_examples(example for example in (GOOD, GOOD)) == [GOOD, GOOD]
