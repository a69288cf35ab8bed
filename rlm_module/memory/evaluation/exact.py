"""Whether an answer is the right one word for word, as far as words that say nothing are left aside."""

from __future__ import annotations

import re

_ARTICLE = re.compile(r"^(?:a|an|the) (?=\S)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS.split())}
_HEDGES = {"or", "nor", "not", "no", "either", "neither", "maybe", "perhaps"}
_MOST_WORDS = 12


def matches(right: str, given: str) -> bool:
    """Whether an answer says what the right one says.

    Case, punctuation, a leading article and how a number is written do not count. A short sentence counts that holds
    the right answer, unless it hedges; a number must be its only one.

    Args:
        right: The right answer: a name, a word or a number.
        given: An arm's answer.
    """
    wanted, said = _plain(right), _plain(given)
    if wanted == said:
        return bool(wanted)
    words = said.split()
    if not wanted or len(words) > _MOST_WORDS or _HEDGES.intersection(words):
        return False
    if _NUMBER.fullmatch(wanted):
        return _NUMBER.findall(said) == [wanted]
    return len(wanted) > 1 and f" {wanted} " in f" {said} "


def _plain(text: str) -> str:
    words = re.sub(r"[^\w\s.]|_|\.(?!\d)", " ", _THOUSANDS.sub("", text.casefold())).split()
    digits = [_DIGITS.get(word, word) for word in words]
    return _ARTICLE.sub("", " ".join(digits))
