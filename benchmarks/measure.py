"""What a measurement is, and how its samples become a figure that a limit judges."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Unit = Literal["s", "ms", "MB", "MiB", "calls"]
Figure = Literal["median", "best", "worst"]
Say: TypeAlias = Callable[[str], None]

UNITS: dict[Unit, float] = {"s": 1.0, "ms": 1e-3, "MB": 1e6, "MiB": float(1 << 20), "calls": 1.0}
"""What one of a unit is in seconds, bytes or calls, in which samples are given."""

_FIGURES: dict[Figure, Callable[[Sequence[float]], float]] = {"median": statistics.median, "best": min, "worst": max}


@dataclass(frozen=True, slots=True)
class Limit:
    """What a figure must not exceed: `factor` times dspy's figure, or times `base`.

    Args:
        factor: The factor.
        base: In seconds or bytes; None stands for dspy's figure.
        words: The limit as a reader is told it.
    """

    factor: float
    base: float | None
    words: str

    def most(self, theirs: float | None) -> float | None:
        """The greatest figure that is good enough; None where dspy's is needed and missing."""
        base = theirs if self.base is None else self.base
        return None if base is None else self.factor * base


def times_theirs(factor: float) -> Limit:
    return Limit(factor, None, f"≤ {factor:g} × dspy's")


SHOWN = Limit(math.inf, 1.0, "")
"""No limit: the figure is there to be compared."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Args:
        name: What `--only` calls it.
        title: What the table calls it.
        unit: How its figures are shown.
        limit: What ours must reach.
        figure: What the samples are reduced to.
        ceiling: Where a sample was given up, in seconds or bytes; what reaches it is shown as "over" it.
    """

    name: str
    title: str
    unit: Unit
    limit: Limit
    figure: Figure = "median"
    ceiling: float | None = None


Sampler: TypeAlias = Callable[[], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Measure:
    """Something done on both sides, which gives a sample for each of its rows.

    Args:
        rows: The rows.
        ours: Does it once with this package; returns seconds or bytes, one for each row.
        theirs: The same with dspy, or what else ours is compared with.
        repeats: How often to do it, where that is not left to the caller.
    """

    rows: tuple[Row, ...]
    ours: Sampler
    theirs: Sampler
    repeats: int | None = None


@dataclass(slots=True)
class Side:
    """What came of one side of a measure: samples, each as long as there are rows, and why there are no more."""

    samples: list[Sequence[float]] = field(default_factory=list)
    fault: str | None = None

    def sample(self, sampler: Sampler) -> None:
        """Adds one sample; after a fault nothing more is tried."""
        if self.fault is not None:
            return
        try:
            self.samples.append(sampler())
        except Exception as error:
            self.fault = " ".join(f"{type(error).__name__}: {error}".split())[:300]


@dataclass(frozen=True, slots=True)
class Finding:
    """One row with its samples.

    Args:
        row: The row.
        ours: Samples of this package, in order.
        theirs: Samples of dspy.
        fault: Why there are fewer of them than asked for.
    """

    row: Row
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    fault: str | None = None

    @property
    def our_figure(self) -> float | None:
        return _figure(self.row, self.ours)

    @property
    def their_figure(self) -> float | None:
        return _figure(self.row, self.theirs)

    @property
    def reached(self) -> bool:
        """Whether both sides were measured in full and ours is within the limit."""
        figure, most = self.our_figure, self.row.limit.most(self.their_figure)
        return self.fault is None and bool(self.theirs) and figure is not None and most is not None and figure <= most


def take(measure: Measure, repeats: int, say: Say, beside: str = "dspy") -> list[Finding]:
    """Measures both sides in turn, each first every other time, so that a drift of the machine meets both alike."""
    repeats = measure.repeats or repeats
    ours, theirs = Side(), Side()
    order = [(ours, measure.ours), (theirs, measure.theirs)]
    for repeat in range(repeats):
        say(f"{', '.join(row.name for row in measure.rows)}: {repeat + 1} of {repeats}")
        for side, sampler in order if repeat % 2 == 0 else reversed(order):
            side.sample(sampler)
    faults = [f"{name}: {side.fault}" for name, side in (("rlm-module", ours), (beside, theirs)) if side.fault]
    return [
        Finding(
            row,
            tuple(sample[at] for sample in ours.samples),
            tuple(sample[at] for sample in theirs.samples),
            "; ".join(faults) or None,
        )
        for at, row in enumerate(measure.rows)
    ]


def _figure(row: Row, samples: Sequence[float]) -> float | None:
    return _FIGURES[row.figure](samples) if samples else None
