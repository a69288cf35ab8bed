"""Outputs that point into the inputs, whatever they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.signatures import Citation, Documents, Ungrounded
from rlm_module.signatures.grounded import grounded, ungrounded

_TEXT = st.text("ab \n\u00e4\U0001f600", min_size=1, max_size=60)


class Holder(pydantic.BaseModel):
    items: list[Citation]


class Even(pydantic.BaseModel):
    number: int

    def check_against(self, inputs: Mapping[str, Any]) -> None:
        if self.number % 2:
            raise ValueError(f"{self.number} is odd; give an even one.")


def _citation(start: int, end: int, quote: str, document: str = "d") -> Citation:
    return Citation(document=document, start=start, end=end, quote=quote)


@given(_TEXT, st.data())
def test_a_span_that_was_cut_out_is_accepted(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    cut = _citation(start, end, text[start:end])
    assert grounded({"documents": Documents({"d": text})}, cut) is cut


@given(_TEXT, _TEXT, st.integers(-5, 70), st.integers(-5, 70))
def test_any_other_is_refused_and_mended_only_to_what_the_source_holds(
    text: str, quote: str, start: int, end: int
) -> None:
    citation, inputs = _citation(start, end, quote), {"documents": Documents({"d": text})}
    if 0 <= start < end and text[start:end] == quote:
        citation.check_against(inputs)
        return
    with pytest.raises(Ungrounded) as caught:
        citation.check_against(inputs)
    mended, told = caught.value.mended, str(caught.value)
    places = [at for at in range(len(text)) if text.startswith(quote, at)]
    if len(places) == 1:
        assert (mended.start, mended.end) == (places[0], places[0] + len(quote))
        assert f"start={mended.start}, end={mended.end}" in told
    if mended is not None:
        mended.check_against(inputs)
    assert len(told) < 1_000


def test_long_texts_and_quotes_are_told_in_short() -> None:
    inputs = {"documents": Documents({"d" * 5_000: "a" * 100_000})}
    with pytest.raises(Ungrounded) as caught:
        _citation(0, 9_000, "b" * 9_000, "e" * 5_000).check_against(inputs)
    assert len(str(caught.value)) < 1_000


def test_plain_inputs_are_sources_by_their_names() -> None:
    inputs = {"text": "abc", "more": ["x", "yz"], "named": {"n": "m"}, "n": 3}
    there = [_citation(0, 1, "a", "text"), _citation(1, 2, "z", "more[1]"), _citation(0, 1, "m", "n")]
    assert grounded(inputs, [*there, _citation(0, 1, "?", "more[0]"), _citation(0, 1, "3", "n")]) == there


def test_faults_are_found_wherever_they_stand_and_told_in_bounds() -> None:
    wrong = _citation(5, 6, "a")
    inputs = {"text": Documents({"d": "xa"})}
    outputs = {"one": wrong, "many": {"k": (Holder(items=[wrong]),)}, "odd": [Even(number=n) for n in range(20)]}
    faults = ungrounded(inputs, outputs)
    assert [fault.partition(":")[0] for fault in faults[:3]] == ["`one`", "`many['k'][0].items[0]`", "`odd[1]`"]
    assert faults[2] == "`odd[1]`: 1 is odd; give an even one."
    assert faults[-1].startswith("What comes after these was not checked")
    assert len(faults) == 6


def test_what_cannot_be_mended_is_left_out_of_lists() -> None:
    inputs = {"text": Documents({"d": "xa"})}
    found = grounded(inputs, {"k": [_citation(0, 1, "a"), _citation(0, 1, "b")], "n": 3, "l": [Even(number=1)]})
    assert found == {"k": [_citation(1, 2, "a")], "n": 3, "l": []}
    with pytest.raises(Ungrounded):
        grounded(inputs, _citation(0, 1, "b"))
