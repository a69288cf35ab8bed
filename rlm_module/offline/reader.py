"""Extractive reading: the sentence of a passage that shares most with a question, and the value it gives as an answer.

Nothing is understood here. A sentence wins by the question's words in it, rare and capitalised ones counting more, and
the value is what stands where such a sentence usually keeps it: after "is", a date for "when", a number for "how many".
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from rlm_module.offline.question import STOPWORDS, normal, quoted, stem, terms

NOT_FOUND = "NOT FOUND"
_LONGEST_QUESTION = 4000
NUMBER = re.compile(r"(?<![\w.-])-?\d[\d,]*(?:\.\d+)?(?![\w-])")

_QUESTION = re.compile(
    r"^[^\w\n]*(?:question|query|q|task)[^\w\n]*:\s*(\S.*?)(?=\n[ \t]*\n|\n[\w ]{1,30}:|\Z)", re.I | re.M | re.S
)
_PASSAGE = re.compile(
    r"^[^\w\n]*(?:passage|context|text|document|excerpt|record|content|chunk|snippet|section|message)s?\b[^\n:]{0,60}:\s*",
    re.I | re.M,
)
_GIST = re.compile(r"\b(?:summar|overview|gist|main points|main ideas?|tl;?dr)", re.I)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DATE = re.compile(
    r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2})?\b|\b\d{1,2}[/.]\d{1,2}[/.]\d{2,4}\b"
    rf"|\b\d{{1,2}} {_MONTH}(?: \d{{4}})?\b|\b{_MONTH} \d{{1,2}}(?:, \d{{4}})?\b|\b{_MONTH} \d{{4}}\b"
    r"|\b(?:1[5-9]|20)\d\d\b"
)
_NAME = re.compile(r"\b(?:Dr\.? |Mr\.? |Ms\.? |Mrs\.? )?[A-Z][\w'-]+(?: (?:[A-Z][\w'-]+|van|de|von|der))*")
_LEADING = re.compile(rf"^(?:(?:{'|'.join(sorted(STOPWORDS))})\b\s*)+", re.I)
_PLACE = re.compile(r"\b(?:in|at|on|under|behind|near|inside|beside|to) [^,.;|]+")
_COPULA = re.compile(
    r"\s(?:is|are|was|were|equals|reads|became|will be|has been|had been|set to|called|named)\s+(?:now |still )?"
    r"|:\s+|\s=\s"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a passage says to a question.

    Args:
        answer: The value, or the whole sentence where no value stands out.
        sentence: The sentence it was taken from.
        score: Weighted share of the question's words that the sentence holds, and how many in a row; 0 to 1.
    """

    answer: str
    sentence: str
    score: float


def reply(prompt: str) -> str:
    """Answers a plain prompt that holds a question and a passage.

    Returns:
        The answer, or "NOT FOUND"; where the prompt asks for a sentence, quote or evidence, that on a second line.
    """
    question, passage = split(prompt)
    readings = read(question, passage)
    if not readings:
        return NOT_FOUND
    best = readings[0]
    wants_evidence = re.search(r"\b(sentence|quote|evidence)\b", prompt.replace(passage, ""), re.I)
    return f"{best.answer}\n{best.sentence}" if wants_evidence else best.answer


def split(prompt: str) -> tuple[str, str]:
    """The question and the passage of a plain prompt; the passage is empty where there is none."""
    if (question := _QUESTION.search(prompt)) is not None:
        rest = prompt[question.end() :]
        before = prompt[: question.start()]
        passage = _PASSAGE.search(rest) or _PASSAGE.search(before)
        if passage is None:
            return question[1].strip(), max(rest, before, key=len).strip()
        return question[1].strip(), passage.string[passage.end() :].strip()
    if (passage := _PASSAGE.search(prompt)) is not None and prompt[: passage.start()].strip():
        return prompt[: passage.start()].strip(), prompt[passage.end() :].strip()
    paragraphs = [part for part in re.split(r"\n\s*\n|\n", prompt) if part.strip()]
    asked = next((part for part in [*paragraphs[:1], *paragraphs[::-1]] if part.rstrip().endswith("?")), prompt)
    if asked is prompt and len(paragraphs) > 1:
        asked = paragraphs[0]
    if asked == prompt or len(paragraphs) == 1:
        sentences = re.split(r"(?<=[.?!])\s+", prompt)
        asked = next((part for part in sentences if part.endswith("?")), sentences[0])
    return asked.strip(), prompt.replace(asked, "", 1).strip()


def sentences(passage: str) -> list[str]:
    """The passage's sentences; a line end ends a sentence, too."""
    return [part.strip() for part in re.split(r"\n+|(?<=[.!?])\s+(?=[A-Z\"'(])", passage) if part.strip()]


def read(question: str, passage: str, limit: int = 5) -> list[Reading]:
    """The sentences that answer best, best first; empty where too few of the question's words occur."""
    question = question[:_LONGEST_QUESTION]
    parts = sentences(passage)
    if _GIST.search(question):
        return _gist(parts)
    wanted = terms(question) or terms(" ".join(quoted(question)))
    if not (wanted and parts):
        return []
    asked = normal(question).split()
    texts = [normal(part) for part in parts]
    frequency = [sum(f" {term}" in text for text in texts) for term in wanted]
    names = {stem(normal(name).strip()) for name in re.findall(r"(?<!^)(?<![.?!] )\b[A-Z][\w-]*|\w*\d[\w-]*", question)}
    weight = [
        math.log(1 + len(parts) / (count + 0.5)) * (2 if term in names else 1)
        for term, count in zip(wanted, frequency, strict=True)
    ]
    readings: list[Reading] = []
    for part, text in zip(parts, texts, strict=True):
        present = [f" {term}" in text for term in wanted]
        if sum(present) >= max(1, math.ceil(len(wanted) / 3)):
            held = sum(w for w, here in zip(weight, present, strict=True) if here) / sum(weight)
            # Words in a row tell "the vault code of the depot" from "the depot's vault needs a code".
            run = SequenceMatcher(None, asked, text.split(), autojunk=False).find_longest_match().size
            readings.append(Reading(value(question, part), part, round(0.8 * held + 0.2 * run / len(asked), 3)))
    readings.sort(key=lambda reading: -reading.score)
    return readings[:limit]


def _gist(parts: Sequence[str]) -> list[Reading]:
    """The sentences made of the passage's most frequent words, in their order, as one reading."""
    frequency = Counter(term for part in parts for term in terms(part))
    weights = {
        part: sum(frequency[term] for term in terms(part)) / math.sqrt(len(part)) for part in dict.fromkeys(parts)
    }
    top = set(sorted(weights, key=lambda part: -weights[part])[:3])
    text = " ".join(part for part in weights if part in top)
    return [Reading(text, text, 1.0)] if text else []


def value(question: str, sentence: str) -> str:
    """The part of a sentence that answers a question, or the whole sentence where none stands out."""
    asked = question.lower()
    said = normal(question)
    if re.search(r"\bwhen\b|\b(?:what|which) (?:date|day|year|month)\b", asked):
        return _new(_DATE.findall(sentence), said, last=True) or sentence
    if re.search(r"\bhow (?:many|much|old|long|tall|far|often)\b", asked):
        return _new(NUMBER.findall(sentence), said, last=True) or sentence
    complement = _complement(sentence, terms(question))
    if re.search(r"\bwho(?:se|m)?\b", asked):
        names = [_LEADING.sub("", name) for name in _NAME.findall(complement) + _NAME.findall(sentence)]
        return _new(names, said, last=False) or complement or sentence
    if re.search(r"\bwhere\b", asked):
        return (
            _new([match[0].strip() for match in _PLACE.finditer(sentence)], said, last=True) or complement or sentence
        )
    return complement or sentence


def _new(candidates: list[str], said: str, *, last: bool) -> str:
    """A candidate that the question does not hold already."""
    fresh = [text for text in candidates if normal(text).strip() and normal(text) not in said]
    return (fresh[-1] if last else fresh[0]) if fresh else ""


def _complement(sentence: str, wanted: list[str]) -> str:
    """The side of "is", ":" or "=" that the question does not hold, where the other side holds most of it."""
    sides = [(sentence[: match.start()], sentence[match.end() :]) for match in _COPULA.finditer(sentence)]
    held = [tuple(sum(f" {term}" in normal(side) for term in wanted) for side in pair) for pair in sides]
    ahead = [(left, -right, i) for i, (left, right) in enumerate(held) if left > right]
    if ahead:
        best = _clause(sides[max(ahead)[2]][1])
    else:
        behind = [i for i, (left, right) in enumerate(held) if right > left == 0 and terms(sides[i][0])]
        best = re.split(r"[,;|]\s", sides[behind[-1]][0])[-1] if behind else ""
    return best.strip(" \"'*`\u201c\u201d\u2018\u2019").rstrip(".!?;,")


def _clause(text: str) -> str:
    """Text up to where its clause ends."""
    return re.split(
        r"[.!?](?:\s|$)|[;|](?:\s|$)|,\s|\s(?:and|but|which|while|because|until|since)\s", text, maxsplit=1
    )[0]
