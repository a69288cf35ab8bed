"""What a run that is killed pays for twice when it is resumed."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Limit, Measure, Row
from tests.survival import points, survive, undisturbed

_KILLS = 50
KILLS = Row("kills", f"{_KILLS} runs killed: calls paid twice; in flight", "calls", Limit(1, None, "≤ in flight"))


def measures(scratch: Path) -> tuple[Measure, ...]:
    in_flight: list[float] = []

    def ours() -> tuple[float]:
        twice, flying = _kill_all(scratch)
        in_flight.append(flying)
        return (twice,)

    return (Measure((KILLS,), ours, lambda: (in_flight[-1],), repeats=1),)


def _kill_all(scratch: Path) -> tuple[float, float]:
    """Calls paid twice, and calls in flight, over all kills."""
    wanted = undisturbed(scratch / "undisturbed").answer
    survivors = [survive(point, scratch / f"killed-{number}") for number, point in enumerate(points(_KILLS))]
    for survived in survivors:
        if survived.answer != wanted or survived.twice > survived.in_flight:
            raise RuntimeError(f"the undisturbed run answered {wanted!r}, but {survived}")
    return float(sum(one.twice for one in survivors)), float(sum(one.in_flight for one in survivors))
