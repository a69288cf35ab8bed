"""Findings as a table, as the line that names the misses, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.measure import UNITS, Finding, Row


def table(findings: Sequence[Finding], beside: str = "dspy") -> str:
    """A table that is both Markdown and readable as it stands.

    Args:
        findings: Its lines.
        beside: What the package is compared with.
    """
    header = ("measure", "rlm-module", beside, "ratio", "must reach", "")
    return grid([header, *(_cells(finding) for finding in findings)])


def grid(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as such a table; the first is its header."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    shown = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])


def verdict(findings: Sequence[Finding]) -> str:
    """One line: what was missed, with its figures, or that nothing was."""
    missed = [_miss(finding) for finding in findings if not finding.reached]
    return f"miss: {'; '.join(missed)}" if missed else f"all {len(findings)} figures reached"


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Every sample, in seconds or bytes."""
    return [
        {
            "name": finding.row.name,
            "title": finding.row.title,
            "figure": finding.row.figure,
            "ours": finding.our_figure,
            "theirs": finding.their_figure,
            "limit": finding.row.limit.words,
            "at_most": finding.row.limit.most(finding.their_figure),
            "reached": finding.reached,
            "fault": finding.fault,
            "our_samples": list(finding.ours),
            "their_samples": list(finding.theirs),
        }
        for finding in findings
    ]


def _cells(finding: Finding) -> tuple[str, ...]:
    row, ours, theirs = finding.row, finding.our_figure, finding.their_figure
    title = row.title if row.figure == "median" else f"{row.title} ({row.figure} of {len(finding.ours)})"
    ratio = f"{ours / theirs:.3g}" if ours is not None and theirs else "–"
    return (
        title,
        _figure(row, ours, finding.ours),
        _figure(row, theirs, finding.theirs),
        ratio,
        row.limit.words,
        "ok" if finding.reached else "MISS",
    )


def _figure(row: Row, figure: float | None, samples: Sequence[float]) -> str:
    """The figure and, in brackets, the least and the greatest sample."""
    if figure is None:
        return "none"
    return f"{_amount(row, figure)} ({_number(row, min(samples))}–{_number(row, max(samples))})"


def _amount(row: Row, value: float) -> str:
    given_up = row.ceiling is not None and value >= row.ceiling
    return f"{'over ' if given_up else ''}{_number(row, value)} {row.unit}"


def _number(row: Row, value: float) -> str:
    scaled = value / UNITS[row.unit]
    return f"{scaled:.0f}" if abs(scaled) >= 100 else f"{scaled:.3g}"


def _miss(finding: Finding) -> str:
    if finding.fault is not None:
        return f"{finding.row.name} could not be measured ({finding.fault})"
    figure, most = finding.our_figure, finding.row.limit.most(finding.their_figure)
    if figure is None or most is None:
        return f"{finding.row.name} could not be measured"
    row = finding.row
    return f"{row.name} is {_amount(row, figure)}, must be {row.limit.words} ({_amount(row, most)})"
