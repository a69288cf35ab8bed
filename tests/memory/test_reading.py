"""Texts as lines of data: nothing in one ends its line."""

from __future__ import annotations

import json

import pytest

from rlm_module.memory.reading import as_data


@pytest.mark.parametrize("end", ["\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_no_text_ends_its_line(end: str) -> None:
    line = as_data({"text": f"one{end}two"})
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {"text": f"one{end}two"}
