"""Which of the numbers in an answer is the one that was asked for: "9 marathons in 2 years" says nine."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from rlm_module.memory.numbers import Figure, figures, placed_figures

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_TIMES = re.compile(
    rf"\b(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{2,4}}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?\b(?:,? \d{{4}}\b)?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?: \d{{4}})?\b|(?:19|20)\d\d\b|\d{{1,2}}:\d\d|\d{{1,2}} ?[ap]m\b"
    r"|\d+(?:st|nd|rd|th)\b)"
)
_SPAN = re.compile(r"[ -]*(minute|hour|day|week|fortnight|month|year|decade)s?\b")
_ASKED = re.compile(r"\bhow (?:many|much)\b")
_ASKED_MONEY = re.compile(
    r"\bhow much (?:money\b|cash\b|did|do|have|has|was|were|is|are)|\b(?:cost|price|paid|pay|spent|spend)\b"
)
_SIGNS = ("$", "\N{EURO SIGN}", "\N{POUND SIGN}", "\N{YEN SIGN}")
_COINS = re.compile(rf" ?(?:[{''.join(_SIGNS)}]|(?:dollars?|euros?|pounds?|usd|eur|gbp)\b)")
_NOUN_ENDS = frozenset(
    "and but by did do does for from had has have i in is are was were on or over so than that the to with you".split()  # noqa: SIM905
)
_NEXT_WORD = re.compile(r"[ -]*([^\W\d_]+)")
_NEAR_WORDS = 4
_WORD = re.compile(r"\w+")
_NEAR_CHARS = 40


class Claim:
    """What an answer claims as a number.

    Args:
        answer: The answer.
        question: What was asked.
        sources: Texts that it rests on.
    """

    def __init__(self, answer: str, question: str, sources: Collection[str] = ()) -> None:
        self._answer, self._question, self._sources = answer.lower(), question.lower(), sources
        self._times = [match.span() for match in _TIMES.finditer(self._answer)]
        self._given = set(figures(self._question))
        self._nouns = {
            noun for match in _ASKED.finditer(self._question) for noun in _noun_at(self._question, match.end())
        }
        self._is_of_money = _ASKED_MONEY.search(self._question) is not None

    def is_of(self, amount: float, parts: Collection[float] = ()) -> bool:
        """Whether the number that was asked for is said to be this.

        It is the first that goes with the word that was asked about; without such a word the first that is no date, no
        length of time, and not the question's own. A later one is meant where those before are its parts, or are quoted
        with the word beside them ("iPhone 15").

        Args:
            amount: A number.
            parts: Numbers that it was worked out from.
        """
        found = placed_figures(self._answer)
        if not found:
            return amount in figures(self._answer)
        free = [figure for figure in found if not self._is_aside(figure)] or found
        asked = [figure for figure in found if self._is_asked(figure)] or free
        if _is_close(asked[0].value, amount) or _is_total(amount, free):
            return True
        others = [figure for figure in asked if not _is_close(figure.value, amount)]
        is_said = len(others) < len(asked)
        return is_said and self._are_quoted([figure for figure in others if figure.value not in parts])

    def _is_aside(self, figure: Figure) -> bool:
        """Whether it tells when or how long, or is out of the question."""
        if any(start <= figure.start and figure.end <= end for start, end in self._times):
            return True
        if _SPAN.match(self._answer, figure.end):
            return True
        return self._answer.endswith("out of ", 0, figure.start) or figure.value in self._given

    def _is_asked(self, figure: Figure) -> bool:
        """Whether it goes with the word that was asked about, or is money where money was asked for."""
        if self._is_of_money and (
            self._answer[max(0, figure.start - 2) : figure.start].rstrip(" ").endswith(_SIGNS)
            or _COINS.match(self._answer, figure.end)
        ):
            return True
        return not self._nouns.isdisjoint(_noun_at(self._answer, figure.end))

    def _are_quoted(self, found: Sequence[Figure]) -> bool:
        """Whether a source has each of them with the same word beside it."""
        sources = [f" {' '.join(_WORD.findall(text.lower()))} " for text in (self._question, *self._sources)]
        return all(any(pair in source for pair in self._pairs(figure) for source in sources) for figure in found)

    def _pairs(self, figure: Figure) -> list[str]:
        """It with the word before and with the word after it."""
        number = _WORD.findall(self._answer, figure.start, figure.end)
        before = _WORD.findall(self._answer, max(0, figure.start - _NEAR_CHARS), figure.start)[-1:]
        after = _WORD.findall(self._answer, figure.end, figure.end + _NEAR_CHARS)[:1]
        return [f" {' '.join(pair)} " for pair in (before + number, number + after) if len(pair) > len(number)]


def _is_total(amount: float, found: Sequence[Figure]) -> bool:
    """Whether it is one of several numbers, and the sum of the others."""
    values = [figure.value for figure in found]
    return any(_is_close(value, amount) for value in values) and _is_close(sum(values), 2 * amount)


def _noun_at(text: str, place: int) -> list[str]:
    """The words of what is counted there, up to the next clause, without the endings that more than one has."""
    words: list[str] = []
    while len(words) < _NEAR_WORDS and (match := _NEXT_WORD.match(text, place)) and match[1] not in _NOUN_ENDS:
        words.append(_stem(match[1]))
        place = match.end()
    return words


def _stem(word: str) -> str:
    """A word without what tells one from many."""
    return re.sub(r"e?s?$", "", word)


def _is_close(one: float, other: float) -> bool:
    return abs(one - other) < 0.005
