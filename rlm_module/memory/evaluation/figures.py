"""Shares with their uncertainty, and how figures spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.959964  # leaves 2.5 % on either side


@dataclass(frozen=True, slots=True)
class Share:
    """A share from 0 to 1 with its 95 % interval.

    Args:
        value: The share; None of nothing.
        low: The interval's lower end.
        high: Its upper end.
        of: How many cases it is a share of.
    """

    value: float | None
    low: float
    high: float
    of: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, median and 95th percentile; None of nothing."""

    mean: float | None
    median: float | None
    p95: float | None


def share(hits: int, of: int) -> Share:
    """A share with Wilson's interval.

    Args:
        hits: How many.
        of: Of how many.
    """
    if of == 0:
        return Share(None, 0.0, 1.0, 0)
    value, z2 = hits / of, _Z * _Z
    middle = (value + z2 / (2 * of)) / (1 + z2 / of)
    reach = _Z * math.sqrt(value * (1 - value) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    # At the ends the formula gives them up to rounding.
    return Share(value, 0.0 if hits == 0 else middle - reach, 1.0 if hits == of else middle + reach, of)


def mean_share(shares: Sequence[Share]) -> Share:
    """The mean of independent shares, each counting alike, with an interval from those of its parts."""
    known = [(part.value, part) for part in shares if part.value is not None]
    if not known:
        return Share(None, 0.0, 1.0, 0)
    value = sum(figure for figure, _ in known) / len(known)
    below = math.sqrt(sum((figure - part.low) ** 2 for figure, part in known)) / len(known)
    above = math.sqrt(sum((part.high - figure) ** 2 for figure, part in known)) / len(known)
    return Share(value, max(0.0, value - below), min(1.0, value + above), sum(part.of for _, part in known))


def spread(figures: Sequence[float]) -> Spread:
    """How figures spread; the percentile is the least figure that 95 % do not exceed."""
    if not figures:
        return Spread(None, None, None)
    ordered = sorted(figures)
    return Spread(
        statistics.fmean(ordered), statistics.median(ordered), ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)]
    )


def mean(figures: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return statistics.fmean(figures) if figures else None
