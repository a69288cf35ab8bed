"""The tests of stock optimizers as a table at the end of the report: optimizer × what holds after it."""

from __future__ import annotations

import re
from typing import Any

_COLUMNS = ("runs", "contract_intact", "saved_state_portable", "demos_render")
_CELL = re.compile(r"test_stock\.py::test_(\w+)\[(.+)-(one RLM|outer program)\]")


def cells(stats: dict[str, list[Any]]) -> dict[tuple[str, str], dict[str, str]]:
    """What is known of each optimizer and program, by column.

    Args:
        stats: pytest's reports by outcome.
    """
    found = dict[tuple[str, str], dict[str, str]]()
    for outcome, word in (("passed", "yes"), ("failed", "NO"), ("error", "NO")):
        for report in stats.get(outcome, ()):
            match = _CELL.search(getattr(report, "nodeid", ""))
            if match and match[1] in _COLUMNS:
                found.setdefault((match[2], match[3]), {})[match[1]] = word
    return found


def lines(found: dict[tuple[str, str], dict[str, str]]) -> list[str]:
    """The table."""
    heads = [column.replace("_", " ") for column in _COLUMNS]
    rows = [
        [f"{name}, {subject}", *(found[name, subject].get(column, "-") for column in _COLUMNS)]
        for name, subject in sorted(found)
    ]
    width = max(len(row[0]) for row in rows)
    return [
        "  ".join([row[0].ljust(width), *(cell.ljust(len(head)) for cell, head in zip(row[1:], heads, strict=True))])
        for row in (["optimizer, program", *heads], *rows)
    ]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints it, under whatever runs the tests."""
    if found := cells(terminalreporter.stats):
        terminalreporter.section("stock optimizers on programs with RLMs")
        for line in lines(found):
            terminalreporter.write_line(line.rstrip())
