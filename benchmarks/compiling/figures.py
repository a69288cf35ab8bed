"""What came of the arms as a table, and the figures that are judged."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.compiling.arms import ARMS, CAP, ENOUGH, Outcome
from benchmarks.compiling.pair import FAULTS, Credit
from benchmarks.compiling.recording import Cost
from benchmarks.table import grid

OURS = ("ours", "ours-told")
BLANK = ("ours-blank", "gepa-blank")
_BESIDE, _LONG = "gepa", "gepa-long"
_LEAST_PROPOSALS = 40
_MOST_GROWTH = 15
"""Ten times as many turns may cost ten times as much, and half of that again for what does not grow."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and whether it is what it must be.

    Args:
        name: What it is.
        words: It, as a reader is told it.
        must: What it must be.
        is_reached: Whether it is.
    """

    name: str
    words: str
    must: str
    is_reached: bool


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured; what was not chosen is empty.

    Args:
        outcomes: Of each arm, one a seed.
        credits: Of RLMGEPA on two RLMs.
        beside: The same of dspy.GEPA.
        costs: Of recording.
        faults: What could not be measured, with the reason.
    """

    outcomes: Mapping[str, Sequence[Outcome]]
    credits: Sequence[Credit] = ()
    beside: Sequence[Credit] = ()
    costs: Sequence[Cost] = ()
    faults: Sequence[str] = ()

    def figures(self) -> list[Figure]:
        """Every figure that can be judged from what was measured."""
        return [*self._arms(), *_credit(self.credits), *_recording(self.costs)]

    def _arms(self) -> Iterator[Figure]:
        for name in OURS:
            yield from self._ours(name)
        for name in BLANK:
            if found := self.outcomes.get(name):
                most = max(outcome.pieces for outcome in found)
                yield Figure(f"{ARMS[name].title}: most pieces", f"{most}", "≤ 1", most <= 1)
        if found := self.outcomes.get(_LONG):
            least = min(outcome.pieces for outcome in found)
            yield Figure(f"{ARMS[_LONG].title}: fewest pieces", f"{least}", f"≥ {ENOUGH}", least >= ENOUGH)

    def _ours(self, name: str) -> Iterator[Figure]:
        found, title = self.outcomes.get(name), ARMS[name].title
        if not found:
            return
        median, least = statistics.median(o.pieces for o in found), min(o.pieces for o in found)
        yield Figure(f"{title}: pieces, median", f"{median:g}", "≥ 11", median >= 11)
        yield Figure(f"{title}: pieces, fewest", f"{least}", "≥ 9", least >= 9)
        refused = sum(outcome.refused for outcome in found)
        yield Figure(f"{title}: runs refused", f"{refused}", "0", refused == 0)
        if beside := self.outcomes.get(_BESIDE):
            ours, theirs = (statistics.median(runs_to_enough(o) for o in arm) for arm in (found, beside))
            must = f"≤ 0.7 × {ARMS[_BESIDE].title} ({theirs:g}, {CAP} standing for never)"
            yield Figure(f"{title}: runs to {ENOUGH} pieces, median", f"{ours:g}", must, ours <= 0.7 * theirs)


def runs_to_enough(outcome: Outcome) -> int:
    """Program runs until ten pieces were held; the cap where that did not happen within it."""
    return CAP if outcome.to_enough is None else min(CAP, outcome.to_enough)


def _credit(credits: Sequence[Credit]) -> Iterator[Figure]:
    one = [credit for credit in credits if credit.fault != "both"]
    if one:
        count, share = sum(credit.proposals for credit in one), right_share(one)
        words = f"{share:.0%} of {count}"
        must = f"≥ 80% of at least {_LEAST_PROPOSALS}"
        yield Figure("proposals to the one at fault", words, must, share >= 0.8 and count >= _LEAST_PROPOSALS)
    both = [credit for credit in credits if credit.fault == "both"]
    if both:
        count = sum(credit.proposals for credit in both)
        share = sum(credit.reader for credit in both) / max(1, count)
        words = f"{share:.0%} and {1 - share:.0%} of {count}"
        yield Figure("proposals to each, both at fault", words, "35% to 65%", 0.35 <= share <= 0.65)


def right_share(credits: Sequence[Credit]) -> float:
    """The share of proposals that went to the one at fault."""
    right = sum(credit.reader if credit.fault == "reader" else credit.writer for credit in credits)
    return right / max(1, sum(credit.proposals for credit in credits))


def _recording(costs: Sequence[Cost]) -> Iterator[Figure]:
    for cost in costs:
        name, words = f"recording a turn of {cost.turns}", f"{cost.a_turn * 1e3:.3f} ms"
        yield Figure(name, words, "≤ 1 ms", cost.a_turn <= 1e-3)
    if len(costs) > 1:
        first, last = costs[0], costs[-1]
        growth = last.a_turn * last.turns / (first.a_turn * first.turns)
        name = f"recording {last.turns} turns beside {first.turns}"
        yield Figure(name, f"{growth:.1f} ×", f"≤ {_MOST_GROWTH} × (linear: 10)", growth <= _MOST_GROWTH)


def arms_table(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """The arms side by side: medians, with least and greatest in brackets."""
    columns: dict[str, Callable[[Outcome], float]] = {
        "pieces held": lambda outcome: outcome.pieces,
        "harmful lines": lambda outcome: outcome.harms,
        "held-out score": lambda outcome: outcome.held_out,
        f"runs to {ENOUGH}": lambda outcome: outcome.to_enough or ARMS[outcome.arm].cap,
        "runs": lambda outcome: outcome.runs,
        "reflection calls": lambda outcome: outcome.reflections,
        "seconds": lambda outcome: outcome.seconds,
    }
    lines: list[tuple[str, ...]] = [("arm", *columns, f"reached {ENOUGH}")]
    for name, found in outcomes.items():
        reached = sum(outcome.to_enough is not None for outcome in found)
        cells = (_spread([value(outcome) for outcome in found]) for value in columns.values())
        lines.append((ARMS[name].title, *cells, f"{reached} of {len(found)}"))
    return grid(lines)


def figures_table(figures: Sequence[Figure]) -> str:
    lines = [(figure.name, figure.words, figure.must, "ok" if figure.is_reached else "MISS") for figure in figures]
    return grid([("figure", "is", "must be", ""), *lines])


def credits_table(credits: Mapping[str, Sequence[Credit]]) -> str:
    """Whose text proposals changed, by who was at fault."""
    lines: list[tuple[str, ...]] = [("optimizer", "at fault", "proposals", "reader's", "writer's", "asked who")]
    for title, found in credits.items():
        for fault in FAULTS:
            some = [credit for credit in found if credit.fault == fault]
            sums = (sum(getattr(c, name) for c in some) for name in ("proposals", "reader", "writer", "blames"))
            lines.append((title, fault, *map(str, sums)))
    return grid(lines)


def costs_table(costs: Sequence[Cost]) -> str:
    """What recording cost at each length."""
    lines = [("turns", "ms a turn", "whole run, with minus without, ms")]
    for cost in costs:
        turn = _spread([seconds / cost.turns * 1e3 for seconds in cost.seconds])
        lines.append((str(cost.turns), turn, _spread([seconds * 1e3 for seconds in cost.difference])))
    return grid(lines)


def verdict(results: Results) -> str:
    """One line: what was missed, with its figures, or that nothing was."""
    figures = results.figures()
    missed = [f"{fault}" for fault in results.faults]
    missed += [f"{figure.name} is {figure.words}, must be {figure.must}" for figure in figures if not figure.is_reached]
    return f"miss: {'; '.join(missed)}" if missed else f"all {len(figures)} figures reached"


def _spread(values: Sequence[float]) -> str:
    return f"{_short(statistics.median(values))} ({_short(min(values))}–{_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
