"""What a compile found, as one page that a browser opens: the front, the lineage, the texts, and what it cost."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from rlm_module.errors import InputError
from rlm_module.optimizers.lineage import Candidate, Compilation

_WIDTH, _HEIGHT = 900, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 60, 20, 55
_TICKS = 4


def write_report(compilation: Compilation, path: str | os.PathLike[str], title: str = "A compiled program") -> None:
    """Writes the page of a compile.

    Args:
        compilation: Its record, as `program.compilation` holds it.
        path: Where the page goes; what is there is overwritten.
        title: Its heading.

    Raises:
        InputError: If the file cannot be written.
    """
    try:
        Path(path).write_text(report_html(compilation, title), encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"The report cannot be written to {path} ({error.strerror}); name another place.") from error


def report_html(compilation: Compilation, title: str = "A compiled program") -> str:
    """The page as text; it needs nothing beside it."""
    best, first = compilation.candidates[compilation.best], compilation.candidates[0]
    return _template().render(
        title=title,
        ended=f"Ended: {compilation.stopped}.",
        facts=list(_facts(compilation)),
        chart=_chart(compilation),
        rows=[_row(candidate, compilation) for candidate in compilation.candidates],
        learned=_diffs(first.texts, best.texts),
        dropped=compilation.dropped,
    )


@cache
def _template() -> jinja2.Template:
    text = Path(__file__).with_name("report.html.jinja").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)


def _facts(compilation: Compilation) -> Iterator[tuple[str, str]]:
    best, first = compilation.candidates[compilation.best], compilation.candidates[0]
    yield "validation score", f"{first.score:.3g} → {best.score:.3g}"
    yield "cost a run", f"{_money(first.cost_usd)} → {_money(best.cost_usd)}"
    yield "time a run", f"{_seconds(first.seconds)} → {_seconds(best.seconds)}"
    yield "program runs", f"{compilation.runs:,}"
    yield "reflections", f"{compilation.reflections:,}"
    yield "cost of compiling", _money(compilation.cost_usd)
    yield "of that for reflection", _money(compilation.reflection_cost_usd)
    yield "candidates", f"{len(compilation.candidates):,}"


def _money(amount: float | None) -> str:
    return "unknown" if amount is None else f"${amount:.4g}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s"


@dataclass(frozen=True, slots=True)
class _Point:
    x: float
    y: float
    number: int
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class _Scale:
    """Places values from `low` to `high` between two positions."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, written: str) -> list[tuple[float, str]]:
        if self.high == self.low:
            return [(self(self.low), written.format(self.low))]
        values = [self.low + (self.high - self.low) * step / _TICKS for step in range(_TICKS + 1)]
        return [(self(value), written.format(value)) for value in values]


def _chart(compilation: Compilation) -> dict[str, Any]:
    """Score against cost, or against time where a cost is not known."""
    candidates, has_costs = compilation.candidates, _has_costs(compilation)
    spent = {one.number: (one.cost_usd or 0.0) if has_costs else one.seconds for one in candidates}
    scores = [one.score for one in candidates]
    across = _Scale(min(spent.values()), max(spent.values()), _LEFT, _WIDTH - _RIGHT)
    upward = _Scale(min(scores), max(scores), _HEIGHT - _BOTTOM, _TOP)
    points = [
        _Point(
            across(spent[one.number]),
            upward(one.score),
            one.number,
            "best" if one.number == compilation.best else "front" if one.number in compilation.front else "other",
            f"{one.number}: score {one.score:.3g}, {_money(one.cost_usd)}, {_seconds(one.seconds)}",
        )
        for one in candidates
    ]
    front = sorted((point for point in points if point.number in compilation.front), key=lambda point: point.x)
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "points": points,
        "front_line": " ".join(f"{point.x},{point.y}" for point in front),
        "x_name": "US dollars a program run" if has_costs else "seconds a program run",
        "x_ticks": across.ticks("{:.3g}"),
        "y_ticks": upward.ticks("{:.2f}"),
    }


def _has_costs(compilation: Compilation) -> bool:
    return all(one.cost_usd is not None for one in compilation.candidates)


def _row(candidate: Candidate, compilation: Compilation) -> dict[str, Any]:
    parents = [compilation.candidates[number] for number in candidate.parents]
    return {
        "number": candidate.number,
        "indent": "· " * _generation(candidate, compilation),
        "parents": ", ".join(str(number) for number in candidate.parents) or "as it was given",
        "changed": ", ".join(candidate.changed) or "–",
        "score": f"{candidate.score:.3g}",
        "cost": _money(candidate.cost_usd),
        "seconds": _seconds(candidate.seconds),
        "cells": [_cell(example, score) for example, score in sorted(candidate.scores.items())],
        "diffs": _diffs(parents[0].texts, candidate.texts) if parents else [],
        "is_best": candidate.number == compilation.best,
        "is_front": candidate.number in compilation.front,
    }


def _generation(candidate: Candidate, compilation: Compilation) -> int:
    """How many steps lie between the program as it was given and this."""
    steps = 0
    while candidate.parents:
        candidate, steps = compilation.candidates[candidate.parents[0]], steps + 1
    return steps


def _cell(example: int, score: float) -> dict[str, Any]:
    hue = 120 * min(max(score, 0.0), 1.0)  # from red to green
    return {"example": example, "score": f"{score:.3g}", "colour": f"hsl({hue:.0f} 45% 55%)"}


def _diffs(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, Markup]]:
    """Each text that differs, with what is gone and what is new in it."""
    return [(name, _marked(old.get(name, ""), text)) for name, text in new.items() if text != old.get(name, "")]


def _marked(old: str, new: str) -> Markup:
    """Lines that are gone and new, among those that stay; no line is compared within, which takes time squared."""
    before, after = old.splitlines(), new.splitlines()
    parts: list[Markup] = []
    for kind, first, last, start, end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            parts += [Markup("{}\n").format(escape(line)) for line in before[first:last]]
            continue
        parts += [Markup("<del>{}</del>").format(escape(line or " ")) for line in before[first:last]]
        parts += [Markup("<ins>{}</ins>").format(escape(line or " ")) for line in after[start:end]]
    return Markup("").join(parts)
