"""Parts of a text within a given room: they share it fairly, and those that are left out are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rlm_module.optimizers.shortening import ends, gist

_MARK = 32  # characters of the line that tells that parts are left out
_TELLING = 12  # characters of a question below which it says nothing


class Part(Protocol):
    """Something that can be shown in full or in less room."""

    @property
    def need(self) -> int:
        """Characters that it takes in full."""
        ...

    @property
    def lines(self) -> int:
        """Lines that it takes in full."""
        ...

    @property
    def weight(self) -> float:
        """How much room it gets beside others, where there is too little."""
        ...

    @property
    def is_urgent(self) -> bool:
        """Whether it is shown before others, where not all can be."""
        ...

    def show(self, room: int) -> str:
        """It, in at most `room` characters."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A labelled text."""

    label: str
    text: str
    weight: float = 1.0
    is_urgent: bool = False

    @property
    def need(self) -> int:
        return len(self.label) + 1 + len(self.text)

    @property
    def lines(self) -> int:
        return self.text.count("\n") + 2

    def show(self, room: int) -> str:
        gap = "\n" if "\n" in self.text else " "
        return ends(f"{self.label}{gap}{gist(self.text, max(0, room - len(self.label) - 1))}", room)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and what came back, on one line."""

    question: str
    answer: str
    weight: float = 1.0
    is_urgent: bool = False

    @property
    def need(self) -> int:
        return len(self.question) + len(self.answer) + 6

    @property
    def lines(self) -> int:
        return 1

    def show(self, room: int) -> str:
        asked, came = shares([len(self.question), len(self.answer)], [1, 2.5], room - 6)
        if asked < min(_TELLING, len(self.question)):
            return ends(f"- {self.answer}", room)
        return ends(f"- {ends(self.question, asked)} -> {ends(self.answer, came)}", room)


@dataclass(slots=True, kw_only=True)
class Section:
    """Parts below a heading.

    Args:
        heading: A line; empty for none.
        parts: What stands below it.
        noun: What one of the parts is called, where some have to be left out.
        least: Room below which a part says nothing.
        indent: Blanks before each line but the heading.
        most: The most that it asks for.
    """

    heading: str
    parts: Sequence[Part]
    noun: str = "part"
    least: int = 60
    indent: int = 0
    weight: float = 1.0
    is_urgent: bool = False
    most: int = 1 << 40
    need: int = field(init=False)
    lines: int = field(init=False)

    def __post_init__(self) -> None:
        self.need = min(self.most, len(self.heading) + sum(map(self._needs, self.parts)))
        self.lines = 1 + sum(part.lines for part in self.parts)

    def show(self, room: int) -> str:
        lines = [self.heading] if self.heading else []
        if self.parts:
            lines += self._shown(room - len(self.heading))
        return ends("\n".join(lines), room)

    def _needs(self, part: Part) -> int:
        return part.need + 1 + (self.indent * part.lines if self.indent else 0)

    def _shown(self, room: int) -> list[str]:
        needs = [self._needs(part) for part in self.parts]
        if sum(needs) > room:
            kept = chosen([min(self.least, need) for need in needs], [part.is_urgent for part in self.parts], room)
            room -= _MARK * _gaps(kept, len(needs))
        else:
            kept = list(range(len(needs)))
        rooms = shares([needs[place] for place in kept], [self.parts[place].weight for place in kept], room)
        lines, last = list[str](), -1
        for place, own in zip(kept, rooms, strict=True):
            if place > last + 1:
                lines.append(self._mark(place - last - 1))
            part, last = self.parts[place], place
            beside = 1 + self.indent
            inner = (own - beside) * part.need // max(1, needs[place] - beside)  # the rest is blanks before its lines
            lines.append(self._indented(part.show(inner)))
        if last + 1 < len(self.parts):
            lines.append(self._mark(len(self.parts) - last - 1))
        return lines

    def _mark(self, number: int) -> str:
        noun = self.noun if number == 1 else f"{self.noun}s"
        return f"{' ' * self.indent}({number:,} {noun} left out here)"

    def _indented(self, text: str) -> str:
        blanks = " " * self.indent
        return blanks + text.replace("\n", f"\n{blanks}") if blanks else text


def shares(needs: Sequence[int], weights: Sequence[float], room: int) -> list[int]:
    """Room for each: what it needs, and where there is too little for all, in proportion to its weight; what one does
    not need goes to the others.
    """
    if sum(needs) <= room:
        return list(needs)
    order = sorted(range(len(needs)), key=lambda place: needs[place] / weights[place])
    given, left, weight = [0] * len(needs), max(0, room), sum(weights)
    for place in order:
        given[place] = min(needs[place], int(left * weights[place] / weight))
        left -= given[place]
        weight -= weights[place]
    return given


def chosen(costs: Sequence[int], are_urgent: Sequence[bool], room: int) -> list[int]:
    """Places of parts that there is room for: the last and the first, then urgent ones, then others, evenly spread.

    Args:
        costs: The least that each part takes.
        are_urgent: Whether it is one of those that come first.
        room: What there is.
    """
    if sum(costs) <= room:
        return list(range(len(costs)))
    last = len(costs) - 1
    inner = range(1, last)
    urgent, calm = [place for place in inner if are_urgent[place]], [place for place in inner if not are_urgent[place]]
    kept, left = set[int](), room
    for place in (last, 0, *urgent[-1:], *_evenly(urgent), *_evenly(calm)):
        cost = costs[place] + _MARK  # each may have a gap before it, which is told
        if place not in kept and cost <= left:
            kept.add(place)
            left -= cost
    return sorted(kept)


def _gaps(kept: Sequence[int], count: int) -> int:
    """How often something is left out between, before or after the places that are kept."""
    return sum(after > before + 1 for before, after in zip([-1, *kept], [*kept, count], strict=True))


def _evenly(places: Sequence[int]) -> list[int]:
    """The places in an order whose beginnings are spread over all of them."""
    found, step = list[int](), 1 << max(0, len(places) - 1).bit_length()
    while step >= 1:
        found += [places[at] for at in range(step // 2 if step > 1 else 0, len(places), step)]
        step //= 2
    return list(dict.fromkeys(found))
