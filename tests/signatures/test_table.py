from __future__ import annotations

import dataclasses
import datetime as dt
import sys
import types
from typing import Any

import pydantic
import pytest

from rlm_module.errors import InputError
from rlm_module.signatures import Table


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Person(pydantic.BaseModel):
    name: str
    age: int | None = None


class NaTType: ...


class Timestamp:
    def to_pydatetime(self) -> dt.datetime:
        return dt.datetime(2024, 1, 5)


class Int64:
    def tolist(self) -> int:
        return 7


class DataFrame:
    """As much of pandas' as is used."""

    def to_dict(self, orient: str) -> list[dict[Any, Any]]:
        assert orient == "records"
        return [
            {"n": Int64(), "when": Timestamp(), 3: float("nan")},
            {"n": Int64(), "when": NaTType(), 3: 1.5},
        ]


def test_rows_come_in_any_form() -> None:
    rows = [{"x": 1, "y": 2.0}]
    assert Table(rows).sandbox_value() == rows
    assert Table([Point(1, 2.0)]).sandbox_value() == rows
    assert Table({"x": [1], "y": [2.0]}).sandbox_value() == rows
    assert Table([Person(name="Ann")]).sandbox_value() == [{"name": "Ann", "age": None}]
    assert (
        Table("one\ntwo\n").sandbox_value()
        == Table(["one", "two"]).sandbox_value()
        == [{"text": "one"}, {"text": "two"}]
    )
    assert Table([{"a": 1}, {"b": 2}]).sandbox_value() == [{"a": 1, "b": None}, {"a": None, "b": 2}]
    assert Table([]).sandbox_value() == []


def test_a_data_frame_becomes_rows_of_plain_values(monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = types.ModuleType("pandas")
    monkeypatch.setattr(pandas, "DataFrame", DataFrame, raising=False)
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    assert Table(DataFrame()).sandbox_value() == [
        {"n": 7, "when": dt.datetime(2024, 1, 5), "3": None},
        {"n": 7, "when": None, "3": 1.5},
    ]


@pytest.mark.parametrize("rows", [3, b"rows", [1], {"a": [1], "b": [1, 2]}, {"a": "text"}, {"a": 1}])
def test_what_is_no_table_is_refused(rows: Any) -> None:
    with pytest.raises(InputError, match=r"pass|convert"):
        Table(rows)


def test_the_preview_tells_columns_with_their_types_and_some_rows() -> None:
    table = Table([{"name": "Ann", "age": 3}, {"name": "Bo", "age": None}])
    assert table.columns == {"name": "str", "age": "int | None (1 of them)"}
    assert table.rlm_preview() == (
        "A list of 2 rows, each a dict with these 2 columns:\n"
        "- 'name': str\n- 'age': int | None (1 of them)\n"
        "row 0: {'name': 'Ann', 'age': 3}\nrow 1: {'name': 'Bo', 'age': None}"
    )
    assert repr(table) == "Table(2 rows of name, age)"
