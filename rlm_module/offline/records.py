"""How a document's lines are built up as records, judged by a few of them, and which columns a question is about."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from rlm_module.offline.question import Dates, dates, identifiers, mentioned, normal, quoted

T = TypeVar("T")

_SEPARATORS = (" || ", " | ", "\t", "|", " ; ", ";", " - ")
_ISO = "%Y-%m-%d"
_DAY_FORMATS = (
    _ISO,
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d %B %Y",
)
_KEYED = re.compile(r"([A-Za-z][\w ]{0,20}?)(: ?|=)(?=\S)")
_MOST = 0.7
_WORD = r"[\w.@#/-]+"
_MOST_WORDS = 6
_REPORT = re.compile(r"^column (\S+): .*?e\.g\. (\[.*\]), named in the question: (\{.*\})$", re.M)


@dataclass(frozen=True, slots=True)
class Format:
    """How to get from text to rows.

    Args:
        rows: A Python expression for all rows of `docs`, one cell list (or dict) a record.
        columns: Expressions for one cell of `row`, in order.
        names: What the columns are called, empty where nothing says.
    """

    rows: str
    columns: tuple[str, ...]
    names: tuple[str, ...] = ()


def infer(lines: Sequence[str]) -> Format | None:
    """The format of records of which `lines` is a sample, or None where no format holds for most of them."""
    records = [line for line in lines if line.strip()]
    if len(records) < 2:
        return None
    return _json(records) or _blocks(lines) or _separated(records) or _csv(records) or _tokens(records)


def _json(records: Sequence[str]) -> Format | None:
    try:
        first = json.loads(records[0])
    except ValueError:
        return None
    if not isinstance(first, dict) or not _holds(records, lambda line: line.startswith("{")):
        return None
    keys = tuple(str(key) for key in first)
    rows = _rows("json.loads(line)", "for line in text.splitlines()", 'if line.startswith("{")')
    return Format(rows, tuple(f'str(row.get({_quoted(key)}, ""))' for key in keys), keys)


def _blocks(lines: Sequence[str]) -> Format | None:
    blocks = [block.splitlines() for block in re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))]
    width = Counter(len(block) for block in blocks).most_common(1)[0][0]
    whole = [block for block in blocks if len(block) == width]
    if len(whole) < 2 or width < 2 or not all(_KEYED.match(cell) for block in whole for cell in block[:-1]):
        return None
    rows = _rows(
        '[cell.partition(":")[2].strip() for cell in block.splitlines()]',
        'for block in text.split("\\n\\n")',
        f'if block.strip().count("\\n") == {width - 1}',
    )
    return Format(rows, _cells(width), tuple(cell.partition(":")[0] for cell in whole[0]))


def _separated(records: Sequence[str]) -> Format | None:
    for mark in _SEPARATORS:
        # Free text in the last column may hold the mark again, so the fewest found in most records is the width.
        counts = sorted(record.count(mark) for record in records)
        cuts = counts[int(len(counts) * (1 - _MOST))]
        if cuts < (1 if mark == " || " else 2):
            continue
        cells = [record.split(mark, cuts) for record in records if record.count(mark) >= cuts]
        split = f"line.split({_quoted(mark)}, {cuts})"
        keys = [_KEYED.match(cell) for cell in cells[0]]
        condition = f"if line.count({_quoted(mark)}) >= {cuts}"
        if all(keys) and all(cell[0].startswith(keys[0][0]) for cell in cells if keys[0]):
            sign = keys[0][2].strip() if keys[0] else ":"
            row = f"[cell.partition({_quoted(sign)})[2].strip() for cell in {split}]"
            names = tuple(key[1] for key in keys if key)
        else:
            row = f"[cell.strip() for cell in {split}]"
            names = _header(cells)
            condition += f" and not line.startswith({_quoted(names[0] + mark)})" if names else ""
        return Format(_rows(row, "for line in text.splitlines()", condition), _cells(cuts + 1), names)
    return None


def _csv(records: Sequence[str]) -> Format | None:
    cells = list(csv.reader(records))
    width = Counter(len(row) for row in cells).most_common(1)[0][0]
    if width < 3 or not _holds(cells, lambda row: len(row) == width):
        return None
    names = _header(cells)
    condition = f"if len(row) == {width}" + (f" and row[0] != {_quoted(names[0])}" if names else "")
    return Format(_rows("row", "for row in csv.reader(text.splitlines())", condition), _cells(width), names)


def _tokens(records: Sequence[str]) -> Format | None:
    """Lines such as `[2025-03-14 10:22] u_17 (refund): text`: the first words are columns."""
    counts = sorted(len(re.findall(_WORD, record)) for record in records)
    width = min(counts[int(len(counts) * (1 - _MOST))], _MOST_WORDS)
    if width < 3 or not _holds(records, lambda line: re.search(r"\d", line[:24]) is not None):
        return None
    row = f'(row := re.findall(r"{_WORD}", line)[:{width}])'
    return Format(_rows("row", "for line in text.splitlines()", f"if len({row}) == {width}"), _cells(width))


def _rows(row: str, part: str, condition: str) -> str:
    """A comprehension over all texts, laid out as one writes it by hand."""
    return "\n    ".join(["[", row, "for _, text in docs", part, condition]) + "\n]"


def _quoted(text: str) -> str:
    """A Python literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _cells(width: int) -> tuple[str, ...]:
    return tuple(f"row[{i}]" for i in range(width))


def _holds(items: Sequence[T], test: Callable[[T], bool]) -> bool:
    return sum(map(test, items)) >= _MOST * len(items)


def _header(cells: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The first record's cells where they read like column names: no digits there, but below."""
    first, rest = cells[0], cells[1:]
    plain = all(re.fullmatch(r"[A-Za-z][A-Za-z _-]*", cell) for cell in first)
    return tuple(first) if plain and any(re.search(r"\d", "".join(row)) for row in rest) else ()


@dataclass(frozen=True, slots=True)
class Column:
    """What a cell printed about one column.

    Args:
        index: Its place in the row.
        examples: Its most common values.
        named: Values that the question names, with the number of records that have them.
    """

    index: int
    examples: tuple[str, ...]
    named: dict[str, int]

    def likeness(self, value: str) -> float:
        """The share of its values that are shaped like this one, such as `u_3` like `u_17`."""
        alike = sum(_shape(example) == _shape(value) for example in self.examples)
        return alike / max(1, len(self.examples))

    def day(self, cell: str) -> str | None:
        """An expression for the ISO day that `cell` holds, or None where this column's values aren't days."""
        for form in _DAY_FORMATS:
            for cut in ("", "[:10]"):
                if self.examples and all(_is_day(value[:10] if cut else value, form) for value in self.examples):
                    return (
                        f"{cell}[:10]"
                        if form == _ISO
                        else f'datetime.strptime({cell}{cut}, "{form}").date().isoformat()'
                    )
        return None


def _shape(value: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", value))


def _is_day(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)
    except ValueError:
        return False
    return True


def columns(report: str) -> list[Column]:
    """Reads back what the column cell printed."""
    found: list[Column] = []
    for index, examples, named in _REPORT.findall(report):
        try:
            found.append(Column(int(index), tuple(ast.literal_eval(examples)), ast.literal_eval(named)))
        except (ValueError, SyntaxError):
            continue
    return found


def conditions(question: str, layout: Format, found: Sequence[Column]) -> list[str]:
    """What a row must meet to be counted, as Python expressions over `row`."""
    when = dates(question)
    days = {column.index: day for column in found if (day := column.day(layout.columns[column.index]))}
    tests: list[str] = []
    covered = ""
    for column in found:
        values = _asked(question, column, found, layout)
        if not values or (column.index in days and when is not None):
            continue
        covered += "".join(map(normal, values))
        cell = layout.columns[column.index]
        among = ", ".join(map(_quoted, values))
        tests.append(f"{cell} == {among}" if len(values) == 1 else f"{cell} in ({among})")
    if when is not None and days:
        tests.append(_within(next(iter(days.values())), when))
    for text in dict.fromkeys([*quoted(question), *mentioned(question), *identifiers(question)]):
        if normal(text) not in covered:
            whole = '" ".join(row)' if layout.columns[0] == "row[0]" else '" ".join(map(str, row.values()))'
            tests.append(f"{_quoted(text.lower())} in {whole}.lower()")
    return tests


def _asked(question: str, column: Column, found: Sequence[Column], layout: Format) -> list[str]:
    """The values of one column that the question means, out of those it names."""
    values: list[str] = []
    for value in column.named:
        # A value that several columns know belongs where the others look like it, else where it is most frequent.
        home = max((c for c in found if value in c.named), key=lambda c: (c.likeness(value), c.named[value]))
        if column is home and value.strip() and (not value.isdigit() or _is_id(question, value, column, layout)):
            values.append(value)
    whole = [value for value in values if normal(value) in normal(question)]
    longest = [value for value in whole if not any(value != v and normal(value) in normal(v) for v in whole)]
    marked = [value for value in values if value in quoted(question)]
    return marked or longest or values


def _is_id(question: str, value: str, column: Column, layout: Format) -> bool:
    """Whether the question uses a bare number as this column's identifier rather than as any number."""
    name = re.escape(layout.names[column.index].lower()) if layout.names else "user|customer|account|id|number"
    return re.search(rf"(?:{name}|id|#)\W*(?:id\W*)?{value}\b", question.lower()) is not None


def _within(day: str, when: Dates) -> str:
    if when.month is not None:
        return f'{day}[5:7] == "{when.month:02}"'
    if when.first == when.last:
        return f'{day} == "{when.first}"'
    return f'"{when.first}" <= {day} <= "{when.last}"'


def column_of(noun: str, layout: Format, found: Sequence[Column]) -> int | None:
    """The column that a noun of the question stands for: by its name, else by what its values look like."""
    for i, name in enumerate(layout.names):
        if noun in name.lower() or name.lower() in noun:
            return i
    if re.match(r"day|date", noun):
        return next((column.index for column in found if column.day("")), None)
    ids = [c.index for c in found if c.examples and all(re.fullmatch(r"[A-Za-z]{1,8}[-_#]?\d+", v) for v in c.examples)]
    if re.match(r"user|customer|author|sender|account|person", noun):
        return ids[0] if ids else None
    words = [
        c.index for c in found if c.examples and all(re.fullmatch(r"[A-Za-z][A-Za-z _-]{0,24}", v) for v in c.examples)
    ]
    return words[0] if words else None
