"""What a question asks, as far as its words show it: terms, quoted values, dates, and whether it wants a count."""

from __future__ import annotations

import calendar
import itertools
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

_STOPWORDS = """
    a about above after all also an and any anyone are as at be been before being below between both but by can
    could did do does doing done each every find following for from get give given had has have having he her here
    him his how i if in into is it its just list many may me more most much must my name no nor not number of on one
    only or other our out over please said say says she should show so some such tell than that the their them then
    there these they this those through to too under until up us was we were what when where which while who whom
    whose why will with would you your answer according based context document documents field fields input passage
    produce question text
"""
STOPWORDS = frozenset(_STOPWORDS.split())

_COUNTING = re.compile(r"\b(how many|how often|number of|count (?:of|the|all|how)|total (?:number|count))\b", re.I)
_DISTINCT = re.compile(r"\bhow many (?:different|distinct|unique) (\w+)", re.I)
_EXTREME = re.compile(r"\b(?:which|what|who|whose)\b(?:\s+(?:is|was|are)\s+the)?(.*?)\b(most|least|fewest)\b(.*)", re.I)
_NOUN = re.compile(
    r"\b(users?|customers?|authors?|senders?|accounts?|people|persons?|labels?|categor(?:y|ies)|"
    r"class(?:es)?|types?|kinds?|tags?|topics?|status(?:es)?|days?|dates?|channels?|priorit(?:y|ies)|regions?)\b",
    re.I,
)
_MENTION = re.compile(r"\b(?:mention|contain|include|say|use)(?:s|ing|ed|ning)?\b(?: the (?:word|term|phrase))?", re.I)
_MONTHS = {
    name.lower(): i for names in (calendar.month_name, calendar.month_abbr) for i, name in enumerate(names) if name
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_UNIT = re.compile(
    r"\b(?:records?|lines?|rows?|entr(?:y|ies)|messages?|posts?|reviews?|comments?|tickets?|items?|instances?|"
    r"examples?|events?|requests?|times|labell?ed|tagged|marked|categori[sz]ed|classified|how often)\b",
    re.I,
)
_QUOTED = re.compile(r"""(?<!\w)(["'`\u201c\u2018])(.+?)["'`\u201d\u2019](?!\w)""")


@dataclass(frozen=True, slots=True)
class Dates:
    """Days from `first` to `last`, both included, as ISO text; or one month (1 to 12) of any year."""

    first: str = "0000-00-00"
    last: str = "9999-12-31"
    month: int | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What to make of the records that match: their number, the number of distinct values, or the extreme value.

    Args:
        noun: The column that distinct and extreme values are of, as the question calls it.
    """

    kind: Literal["rows", "distinct", "most", "least"]
    noun: str = ""


def normal(text: str) -> str:
    """Text as lower-case words with one space before, between and after, so that `in` finds whole words only."""
    return " " + re.sub(r"[\W_]+", " ", text.lower()).strip() + " "


def stem(word: str) -> str:
    """The word without a common English ending, short enough to be a prefix of its other forms."""
    if len(word) < 5 or not word.isalpha():
        return word
    for ending in ("ings", "ing", "ies", "ied", "led", "ed", "es", "s", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def terms(question: str) -> list[str]:
    """The words that carry the question, in normal form and order, without repeats; stems where that is safe."""
    return list(dict.fromkeys(stem(word) for word in _words(question) if word))


def phrases(question: str) -> list[str]:
    """Pairs of such words that stand side by side, such as `vault code`; the second as a stem."""
    words = _words(question)
    return list(dict.fromkeys(f"{a} {stem(b)}" for a, b in itertools.pairwise(words) if a and b))


def _words(question: str) -> list[str]:
    """The question's words in normal form, empty where one carries nothing."""
    bare = (word.removesuffix("'s") for word in re.findall(r"\w+(?:[-.@/']\w+)*", question.lower()))
    return [normal(w).strip() if w not in STOPWORDS and (len(w) > 1 or w.isdigit()) else "" for w in bare]


def quoted(question: str) -> list[str]:
    """What stands in quotation marks."""
    return [match[2] for match in _QUOTED.finditer(question)]


def mentioned(question: str) -> list[str]:
    """Texts that a record must mention, contain or include by the question's own wording."""
    found: list[str] = []
    for match in _MENTION.finditer(question):
        rest = question[match.end() :]
        mark = _QUOTED.match(rest.lstrip())
        word = re.match(r"\s*(\w+(?:-\w+)*)", rest)
        if mark:
            found.append(mark[2])
        elif word and word[1].lower() not in STOPWORDS:
            found.append(word[1])
    return found


def identifiers(question: str) -> list[str]:
    """Words that mix letters and digits, such as `u_17` or `INV-204`."""
    return re.findall(r"(?<![\w-])(?=[\w-]*\d)[A-Za-z][\w-]*[^\W_](?![\w-])", question)


def aggregate(question: str) -> Aggregate | None:
    """What is to be counted, or None where the question does not ask for a count."""
    if distinct := _DISTINCT.search(question):
        return Aggregate("distinct", _singular(distinct[1]))
    if (extreme := _EXTREME.search(question)) and (noun := _NOUN.search(extreme[1]) or _NOUN.search(extreme[3])):
        return Aggregate("most" if extreme[2].lower() == "most" else "least", _singular(noun[1]))
    return Aggregate("rows") if _COUNTING.search(question) else None


def _singular(noun: str) -> str:
    lower = noun.lower()
    if lower == "people":
        return "person"
    return (
        re.sub(r"ies$", "y", lower) if lower.endswith("ies") else re.sub(r"(?<=ss)es$|(?<=us)es$|(?<!s)s$", "", lower)
    )


def counts_lines(question: str) -> bool:
    """Whether what is to be counted are the document's lines or records, rather than things that a passage tells of."""
    return bool(_UNIT.search(question) or mentioned(question) or quoted(question))


def dates(question: str) -> Dates | None:
    """The days that the question confines itself to, or None."""
    day = rf"(\d{{4}}-\d{{2}}-\d{{2}}|(?:{_MONTH})\.? \d{{1,2}},? \d{{4}}|\d{{1,2}} (?:{_MONTH})\.? \d{{4}})"
    if both := re.search(rf"(?:between|from)\s+{day}\s+(?:and|to|until|through)\s+{day}", question, re.I):
        return Dates(_iso(both[1]), _iso(both[2]))
    if since := re.search(rf"\b(since|after|before|until)\s+{day}", question, re.I):
        edge, word = _iso(since[2]), since[1].lower()
        if word == "since":
            return Dates(first=edge)
        if word == "after":
            return Dates(first=_shift(edge, 1))
        return Dates(last=edge if word == "until" else _shift(edge, -1))
    if one := re.search(day, question, re.I):
        return Dates(_iso(one[1]), _iso(one[1]))
    if month := re.search(rf"\b({_MONTH})\.?,? (?:of )?(\d{{4}})\b", question, re.I):
        prefix = f"{month[2]}-{_MONTHS[month[1].lower()]:02}"
        return Dates(f"{prefix}-01", f"{prefix}-31")
    if iso_month := re.search(r"\b(\d{4}-\d{2})\b(?!-)", question):
        return Dates(f"{iso_month[1]}-01", f"{iso_month[1]}-31")
    if year := re.search(r"\b(?:in|during|of|for) ((?:19|20)\d\d)\b", question):
        return Dates(f"{year[1]}-01-01", f"{year[1]}-12-31")
    if bare := re.search(rf"\b(?:in|during|of) ({_MONTH})\b", question, re.I):
        return Dates(month=_MONTHS[bare[1].lower()])
    return None


def _shift(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _iso(day: str) -> str:
    if re.match(r"\d{4}-", day):
        return day
    words = re.findall(r"\w+", day)
    name = next(word for word in words if word.lower() in _MONTHS)
    numbers = sorted((word for word in words if word.isdigit()), key=len)
    return f"{numbers[1]}-{_MONTHS[name.lower()]:02}-{int(numbers[0]):02}"
