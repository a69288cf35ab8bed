"""Rows with columns, as the input of a task."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic

from rlm_module.errors import InputError
from rlm_module.signatures.inputs import PREVIEW_CHARS, SandboxInput, lines_within, short, short_repr

_SHOWN_ROWS = 3
_SHOWN_COLUMNS = 40
_CONVERTERS = ("to_pydatetime", "to_pytimedelta", "tolist")  # of Timestamp, Timedelta, and numpy's scalars and arrays


class Table(SandboxInput):
    """Rows, numbered from 0; in the sandbox a list of dicts with the same keys.

    Args:
        rows: A pandas DataFrame (its index is left out); a list of dicts, dataclasses or pydantic models; a dict of
            columns; or a list of texts, or one text whose lines count, in a column `text`. What is missing, and what
            pandas marks as missing, is None.

    Raises:
        InputError: If it is something else.
    """

    _rows: list[dict[str, Any]] = pydantic.PrivateAttr()

    def __init__(self, rows: Any) -> None:
        super().__init__()
        found = _rows(rows)
        columns = dict.fromkeys(name for row in found for name in row)
        self._rows = [{name: _cell(row.get(name)) for name in columns} for row in found]

    def sandbox_value(self) -> list[dict[str, Any]]:
        return self._rows

    def size(self) -> tuple[int, str]:
        return len(self._rows), "rows"

    @property
    def columns(self) -> dict[str, str]:
        """The types of each column, such as `int | None`, by its name."""
        names = list(self._rows[0]) if self._rows else []
        return {name: _types(row[name] for row in self._rows) for name in names}

    def rlm_preview(self, max_chars: int = PREVIEW_CHARS) -> str:
        columns = self.columns
        lines = [f"A list of {len(self._rows):,} rows, each a dict with these {len(columns):,} columns:"]
        lines += [f"- {short(name)!r}: {kinds}" for name, kinds in list(columns.items())[:_SHOWN_COLUMNS]]
        if len(columns) > _SHOWN_COLUMNS:
            lines.append(f"- and {len(columns) - _SHOWN_COLUMNS:,} more")
        rows = [f"row {number}: {_row_text(row)}" for number, row in enumerate(self._rows[:_SHOWN_ROWS])]
        tail = "\n".join(short(row, max_chars // 5) for row in rows)
        return (lines_within(lines, max_chars - len(tail) - 1) + "\n" + tail)[:max_chars]

    def __repr__(self) -> str:
        names = list(self._rows[0]) if self._rows else []
        shown = ", ".join(short(name, 30) for name in names[:8])
        return f"Table({len(self._rows):,} rows of {shown}{', ...' if len(names) > 8 else ''})"


def _rows(rows: Any) -> list[Mapping[str, Any]]:
    pandas = sys.modules.get("pandas")  # whoever has a DataFrame has imported it
    if isinstance(rows, Table):
        return list(rows.sandbox_value())
    if pandas is not None and isinstance(rows, pandas.DataFrame):
        frame: Any = rows
        return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    if isinstance(rows, str):
        rows = rows.splitlines()
    if isinstance(rows, Mapping):
        return _from_columns(rows)
    if not isinstance(rows, Iterable) or isinstance(rows, (bytes, bytearray)):
        raise InputError(f"A table is a list of rows, not {type(rows).__name__}; pass dicts or a DataFrame.")
    return [_row(row) for row in rows]


def _from_columns(columns: Mapping[Any, Any]) -> list[Mapping[str, Any]]:
    try:
        length = {len(column) for column in columns.values() if not isinstance(column, str)}
        if len(length) == 1 and not any(isinstance(column, str) for column in columns.values()):
            return [dict(zip(map(str, columns), row, strict=True)) for row in zip(*columns.values(), strict=True)]
    except TypeError:
        pass
    raise InputError("The columns of a table are lists of one length; pass such, or a list of rows.")


def _row(row: Any) -> Mapping[str, Any]:
    if isinstance(row, str):
        return {"text": row}
    if isinstance(row, Mapping):
        return {str(name): row[name] for name in row}
    if isinstance(row, pydantic.BaseModel):
        return row.model_dump()
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    raise InputError(f"A row is a dict, not {type(row).__name__}; convert the rows.")


def _cell(value: Any) -> Any:
    """A cell as plain Python: what numpy and pandas have of their own as Python's, their marks of absence as None."""
    if value is None or type(value) in (str, int, bool):
        return value
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if convert := next((name for name in _CONVERTERS if hasattr(value, name)), None):
        value = getattr(value, convert)()
    if type(value).__module__.partition(".")[0] in ("numpy", "pandas"):
        return str(value)
    return None if isinstance(value, float) and value != value else value


def _types(cells: Iterable[Any]) -> str:
    counts = Counter("None" if cell is None else type(cell).__name__ for cell in cells)
    missing = counts.pop("None", 0)
    kinds = [kind for kind, _ in counts.most_common(4)]
    return " | ".join([*kinds, *([f"None ({missing:,} of them)"] if missing else [])])


def _row_text(row: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{short(name, 40)!r}: {short_repr(value)}" for name, value in list(row.items())[:_SHOWN_COLUMNS])
    return f"{{{shown}}}"
