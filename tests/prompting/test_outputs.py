from __future__ import annotations

import contextlib
import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import dspy
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.prompting.outputs import Accepted, Refused, check_outputs, to_type
from rlm_module.prompting.prose import value_in_prose
from rlm_module.sandbox.record import Record


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Person(pydantic.BaseModel):
    name: str
    age: int


class Task(dspy.Signature):
    """Do it."""

    query: str = dspy.InputField()
    count: int = dspy.OutputField(ge=0)
    label: str = dspy.OutputField()
    note: str | None = dspy.OutputField(default=None)

    @pydantic.field_validator("label")
    @classmethod
    def _lower(cls, value: str) -> str:
        if value == "bad":
            raise ValueError("bad is not allowed")
        return value.lower()


def _faults(**submitted: Any) -> str:
    checked = check_outputs(Task, {"query": "q"}, submitted)
    assert isinstance(checked, Refused)
    return " ".join(checked.faults)


def test_valid_outputs_are_accepted_with_defaults_and_validators() -> None:
    checked = check_outputs(Task, {"query": "q"}, {"count": 3, "label": "GOOD"})
    assert checked == Accepted({"count": 3, "label": "good", "note": None})


def test_every_fault_is_named() -> None:
    faults = _faults(count="many", other=1)
    assert "`other` is no output" in faults
    assert "`label` is missing" in faults
    assert "`count`: expected int, got str 'many'" in faults


def test_constraints_and_validators_are_checked() -> None:
    assert "greater than or equal to 0" in _faults(count=-1, label="x")
    assert "bad is not allowed" in _faults(count=1, label="bad")


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (2**60 + 1, int),
        (1.0, float),
        (dt.date(2024, 2, 29), dt.date),
        (dt.datetime(2024, 2, 29, 1, 2, tzinfo=dt.UTC), dt.datetime),
        (Decimal("1.10"), Decimal),
        ({1, 2}, set),
        (b"\xff\x00", bytes),
        ("text", str),
        (True, bool),
        ({"a": [1]}, Any),
        ("1", Any),
    ],
)
def test_a_value_of_the_right_type_arrives_unchanged(value: Any, annotation: Any) -> None:
    arrived = to_type(value, annotation)
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (Record("Person", {"name": "Ann", "age": 3}), Person, Person(name="Ann", age=3)),
        ([Record("Person", {"name": "Ann", "age": 3})], list[Person], [Person(name="Ann", age=3)]),
        ("red", Color, Color.RED),
        ("2", Literal[1, 2], 2),
        ([1, 2], set[int], {1, 2}),
        ("2024-02-29", dt.date, dt.date(2024, 2, 29)),
        (5, str, "5"),
        (Decimal("1.5"), str, "1.5"),
        ("# The Special Number\n\nIt is **162934**.", int, 162934),
    ],
)
def test_a_value_is_converted_where_nothing_is_lost(value: Any, annotation: Any, expected: Any) -> None:
    assert to_type(value, annotation) == expected


@pytest.mark.parametrize("value", [None, ["a"], {"a": 1}, b"x"])
def test_what_is_no_text_is_not_made_text(value: Any) -> None:
    with pytest.raises(ValueError, match="submit text"):
        to_type(value, str)


@pytest.mark.parametrize(
    ("text", "annotation", "expected"),
    [
        ("# The number ... **162934**", int, 162934),
        ("There are 1,234 of them.", int, 1234),
        ("In 2024, 7 were lost. Answer: 7", int, 7),
        ("\\boxed{42} out of 99", int, 42),
        ("about `3.5` metres", float, 3.5),
        ("-2.5e3", float, -2500.0),
        ("**Yes**, it is.", bool, True),
        ("The answer is no.", bool, False),
        ("It is clearly **non-positive**.", Literal["positive", "non-positive"], "non-positive"),
        ("I choose Positive here", Literal["positive", "negative"], "positive"),
        ("The value is 7", int | None, 7),
    ],
)
def test_one_value_in_prose_is_found(text: str, annotation: Any, expected: Any) -> None:
    found = value_in_prose(text, annotation)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "annotation"),
    [
        ("12 or 13", int),
        ("no number here", int),
        ("3.7 apples", int),
        ("on 2024-01-05", int),
        ("3.5 million", float),
        ("42%", int),
        ("yes and no", bool),
        ("It is not true.", bool),
        ("positive or negative", Literal["positive", "negative"]),
        ("version A1 of B2", int),
    ],
)
def test_prose_with_no_clear_value_is_refused(text: str, annotation: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        value_in_prose(text, annotation)


@given(st.integers(), st.sampled_from(["The answer is **{}**.", "`{}`", "# Result\n\n{}", "I count {} of them"]))
def test_any_integer_is_found_in_prose(number: int, template: str) -> None:
    assert value_in_prose(template.format(number), int) == number


@given(st.text(), st.sampled_from([int, float, bool, Literal["a", "b"]]))
def test_any_text_gives_a_value_or_a_value_error(text: str, annotation: Any) -> None:
    with contextlib.suppress(ValueError):
        assert value_in_prose(text, annotation) is not None
