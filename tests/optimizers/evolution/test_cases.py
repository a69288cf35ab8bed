"""Examples are told apart by what they hold, in every process alike."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import dspy
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.optimizers.evolution.cases import cases, digest


class _Thing:
    def __init__(self, name: str) -> None:
        self.name = name


class _Model(pydantic.BaseModel):
    name: str


@pytest.mark.parametrize("kind", [_Thing, lambda name: _Model(name=name), lambda name: {name}, lambda name: [name]])
def test_what_holds_the_same_is_the_same(kind: Any) -> None:
    assert digest(kind("a")) == digest(kind("a"))
    assert digest(kind("a")) != digest(kind("b"))


def test_the_order_of_keys_does_not_matter_and_that_of_items_does() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert digest({"1": 2}) != digest({1: 2})


def test_what_holds_itself_has_an_end() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert digest(loop)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(_VALUES)
def test_every_value_has_a_hash(value: Any) -> None:
    assert digest(value) == digest(value)


def test_another_process_finds_the_same_hash() -> None:
    code = "from rlm_module.optimizers.evolution.cases import digest; print(digest([{'b', 'a', 'c'}, {'x': b'1'}]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == digest([{"a", "b", "c"}, {"x": b"1"}])


def test_which_fields_are_inputs_counts() -> None:
    example = dspy.Example(q="a", context="b")
    one, other = (cases([example.with_inputs(*names)], "trainset")[0] for names in (["q"], ["q", "context"]))
    assert one.key != other.key
