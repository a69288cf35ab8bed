"""Figures that stand by themselves, each beside what it must be at least or at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.table import grid


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure must reach.

    Args:
        name: What `--only` calls it.
        title: What the table calls it.
        unit: What it is counted in.
        least: The least that is good enough; None where more is not better.
        most: The most that is good enough; None where less is not better.
    """

    name: str
    title: str
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def words(self) -> str:
        """The limit as a reader is told it; empty where the figure is there to be seen."""
        if self.least is not None:
            return f"≥ {_number(self.least)} {self.unit}".rstrip()
        return "" if self.most is None else f"≤ {_number(self.most)} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured.

    Args:
        aim: What it had to be.
        value: What it is; None where it could not be measured.
        fault: Why not.
    """

    aim: Aim
    value: float | None
    fault: str | None = None

    @property
    def reached(self) -> bool:
        if self.value is None:
            return False
        least, most = self.aim.least, self.aim.most
        return (least is None or self.value >= least) and (most is None or self.value <= most)

    @property
    def shown(self) -> str:
        return "none" if self.value is None else f"{_number(self.value)} {self.aim.unit}".rstrip()


def table(figures: Sequence[Figure]) -> str:
    """A table that is both Markdown and readable as it stands."""
    lines = [("measure", "figure", "must be", "")]
    for figure in figures:
        lines.append((figure.aim.title, figure.shown, figure.aim.words, "ok" if figure.reached else "MISS"))
    return grid(lines)


def verdict(figures: Sequence[Figure]) -> str:
    """One line: what was missed, or that nothing was."""
    missed = [_miss(figure) for figure in figures if not figure.reached]
    return f"miss: {'; '.join(missed)}" if missed else f"all {len(figures)} figures reached"


def _miss(figure: Figure) -> str:
    if figure.value is None:
        return f"{figure.aim.name} could not be measured ({figure.fault or 'nothing came of it'})"
    return f"{figure.aim.name} is {figure.shown}, must be {figure.aim.words}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
