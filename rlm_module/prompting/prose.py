"""Finds the one value of a simple type in an answer that was wrapped in prose, or refuses where there may be two."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable
from typing import Any, Literal, Union, get_args, get_origin

# A number on its own, not a part of a date, a time, a version or an identifier.
_NUMBER = re.compile(
    r"(?<![\w.,/:$-])[$€£]?(?P<number>[-+]?(?:\d{1,3}(?:[, _]\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![\w/:-]|[.,]\d)"
    r"(?!\s*(?:%|(?:percent|thousand|million|billion|trillion)\b))"
)
_EMPHASIS = (
    re.compile(r"\\boxed\{([^{}]+)\}"),
    re.compile(r"\*\*(.+?)\*\*|__(.+?)__", re.S),
    re.compile(r"`([^`\n]+)`"),
    re.compile(r"(?:final answer|answer|result)(?: is)?\s*[:=]?\s*(.+?)(?:\.\s|\.?$)", re.I | re.M),
)
_TRUE = {"true", "yes"}
_FALSE = {"false", "no"}
_NEGATION = re.compile(r"\bnot\b|n't\b|\bnever\b|\bneither\b", re.I)


def value_in_prose(text: str, annotation: Any) -> Any:
    """The value of a type that a text states.

    Emphasised parts (boxed, bold, code, after "answer:") go before the text as a whole, and the first kind of emphasis
    that holds any value decides.

    Args:
        text: An answer such as "# The number ... **162934**".
        annotation: int, float, bool, a Literal, or one of these or None.

    Raises:
        ValueError: If it states none, or several different ones.
        TypeError: If the type is another.
    """
    find = _finder(_without_none(annotation))
    if find is None:
        raise TypeError("only numbers, bool and Literal are looked for in prose")
    emphasised = (" \n ".join(filter(None, _groups(pattern, text))) for pattern in _EMPHASIS)
    for part in (*emphasised, text):
        found = _distinct(find(part))
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"the text states several values ({', '.join(map(repr, found[:5]))})")
    raise ValueError("the text states no such value")


def _finder(annotation: Any) -> Callable[[str], Iterable[Any]] | None:
    if annotation is int:
        return _integers
    if annotation is float:
        return lambda text: (float(number) for number in _numbers(text))
    if annotation is bool:
        return _booleans
    if get_origin(annotation) is Literal:
        return lambda text: _choices(text, get_args(annotation))
    return None


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    others = [arg for arg in get_args(annotation) if arg is not type(None)]
    return others[0] if len(others) == 1 else annotation


def _groups(pattern: re.Pattern[str], text: str) -> list[str]:
    return [next(filter(None, match.groups()), "") for match in pattern.finditer(text)]


def _numbers(text: str) -> Iterable[str]:
    return (re.sub(r"[, _]", "", match["number"]) for match in _NUMBER.finditer(text))


def _integers(text: str) -> Iterable[int]:
    for number in _numbers(text):
        whole, _, fraction = number.partition(".")
        if "e" in number.lower() or fraction.strip("0"):
            raise ValueError(f"{number} is no whole number")
        yield int(whole)


def _booleans(text: str) -> Iterable[bool]:
    words = re.findall(r"\w+", text.lower())
    found = [True] * bool(_TRUE.intersection(words)) + [False] * bool(_FALSE.intersection(words))
    if found and _NEGATION.search(text):
        raise ValueError("the text negates what it states")
    return found


def _choices(text: str, choices: tuple[Any, ...]) -> Iterable[Any]:
    # Longest first, so that "non-positive" is not taken for "positive".
    by_length = sorted(choices, key=lambda choice: -len(str(choice)))
    for flags in (0, re.I):
        pattern = "|".join(re.escape(str(choice)) for choice in by_length)
        found = [match[0] for match in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", text, flags)]
        if found:
            return [choice for choice in choices for word in found if str(choice).lower() == word.lower()]
    return []


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
