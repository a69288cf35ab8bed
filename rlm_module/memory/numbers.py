"""Numbers in a text, in digits and in words."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS: tuple[str, ...] = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS: tuple[str, ...] = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_PLAIN = {word: float(value) for value, word in enumerate(_UNITS)} | {"twice": 2.0, "couple": 2.0}
_ROUND = {word: 10.0 * place for place, word in enumerate(_TENS, 2)}
_TIMES = {"dozen": 12.0, "hundred": 100.0}
_POWERS = {"thousand": 1e3, "million": 1e6}
# They count only where nothing else does: "a total of 9" is nine.
_WEAK = {"none": 0.0, "never": 0.0, "no": 0.0, "once": 1.0, "a": 1.0, "an": 1.0, "half": 0.5}
_TOKEN = re.compile(r"and a half\b|\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|[^\W\d_]+")
_JOINT = re.compile(r"[ -]*")


@dataclass(slots=True)
class _Number:
    """A number as its words are read.

    Args:
        done: What thousands and millions before make up.
        group: What comes after them.
        room: The next word continues the number where it means less than this.
    """

    done: float = 0.0
    group: float = 0.0
    room: float = float("inf")

    @property
    def value(self) -> float:
        return self.done + self.group

    def take(self, word: str) -> bool:
        """Reads a word; False where the number ends before it."""
        if word == "and a half":
            self.group += 0.5
            self.room = 0
        elif word in _TIMES:
            if self.group >= _TIMES[word]:
                return False
            self.group = (self.group or 1) * _TIMES[word]
            self.room = 100 if word == "hundred" else 0
        elif word in _POWERS:
            if self.done and self.done < _POWERS[word]:
                return False
            self.done += (self.group or 1) * _POWERS[word]
            self.group, self.room = 0, _POWERS[word]
        else:
            value = _ROUND.get(word) or _plain(word)
            if value >= self.room:
                return False
            self.group += value
            self.room = 10 if word in _ROUND else 0
        return True


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a text states, and where.

    Args:
        value: The number.
        start: Where it begins.
        end: Where it ends.
    """

    value: float
    start: int
    end: int


def figures(text: str) -> list[float]:
    """The numbers that a text states; "a", "once" and "none" are numbers where it has no others."""
    strong, weak = _read(text)
    return [figure.value for figure in strong] or weak


def amounts(text: str) -> list[float]:
    """All that may be meant as a number in a text: "I won once, and three times since" has a one, too."""
    strong, weak = _read(text)
    return [figure.value for figure in strong] + weak


def placed_figures(text: str) -> list[Figure]:
    """The numbers that a text states in digits or as words for numbers, with their places."""
    return _read(text)[0]


def _read(text: str) -> tuple[list[Figure], list[float]]:
    strong: list[Figure] = []
    weak: list[float] = []
    number: _Number | None = None
    start = end = stop = 0
    for match in _TOKEN.finditer(text.lower()):
        word = match[0]
        is_near = _JOINT.fullmatch(match.string, end, match.start()) is not None
        if word == "and" and number is not None and is_near and number.room >= 100:
            end = match.end()  # two hundred and five
            continue
        if number is not None and not (is_near and _is_number(word) and number.take(word)):
            strong.append(Figure(number.value, start, stop))
            number = None
        elif number is not None:
            end = stop = match.end()
            continue
        if word in _WEAK:
            weak.append(_WEAK[word])
        elif _is_number(word) and word != "and a half":
            number, start, end, stop = _Number(), match.start(), match.end(), match.end()
            number.take(word)
    return strong if number is None else [*strong, Figure(number.value, start, stop)], weak


def _is_number(word: str) -> bool:
    return word[0].isdecimal() or any(word in words for words in (_PLAIN, _ROUND, _TIMES, _POWERS, ("and a half",)))


def _plain(word: str) -> float:
    return float(word.replace(",", "")) if word[0].isdecimal() else _PLAIN[word]
