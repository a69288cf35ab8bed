"""What is told in which session of a history: the evidence, the like of it, and what only sounds like it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from rlm_module.memory.evaluation.generated.haystack import Planting
from rlm_module.memory.evaluation.generated.personas import Persona
from rlm_module.memory.evaluation.generated.questions import POOLS, Asked, Said, drawn, sentence
from rlm_module.memory.evaluation.generated.topics import Topic, phrase
from rlm_module.memory.evaluation.generated.vocabulary import content_words

_STRANGERS = 2
_BACKGROUND_SHARE = 5
_DECOYS = (
    "I am putting together a glossary. How would you define {words}?",
    "For a crossword club I collect odd clues about {words}. Have you got one?",
    "I am writing a short essay that has to contain {words}. Where would you begin?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Something said in a session.

    Args:
        said: What.
        session: The session's number, from 0.
        relative: Whose life it is about; empty for the user's own.
        is_evidence: Whether the answer follows from it.
    """

    said: Said
    session: int
    relative: str = ""
    is_evidence: bool = False

    def day(self, times: Sequence[dt.datetime]) -> dt.date | None:
        """The day it happened, where that matters."""
        back = self.said.days_back
        return None if back is None else times[self.session].date() - dt.timedelta(days=back)

    def planting(self, times: Sequence[dt.datetime], random: Random) -> Planting:
        """It in words, to be planted."""
        return Planting(
            session=self.session,
            sentence=sentence(self.said, times[self.session].date(), self.relative, random),
            request="" if self.relative or not self.said.topic.request else phrase(self.said.topic.request, random),
            is_evidence=self.is_evidence,
        )


@dataclass(frozen=True, slots=True)
class Life:
    """All that is told in one history.

    Args:
        tellings: Of the user's life and of other people's; what answers the question comes first.
        decoys: Sentences that hold the question's words and mean something else.
    """

    tellings: tuple[Telling, ...]
    decoys: tuple[Planting, ...]


def life(question: Asked, user: Persona, times: Sequence[dt.datetime], is_silent: bool, random: Random) -> Life:
    """Lays out a history.

    Args:
        question: What will be asked.
        user: Whose history it is.
        times: When its sessions are; the last ones after the question, as many as it has things said later.
        is_silent: Whether the history is not to answer the question.
        random: Chooses.
    """
    known = [said for said in question.said if not said.is_later]
    later = [] if is_silent else [said for said in question.said if said.is_later]
    free = list(range(len(times) - len(later)))
    random.shuffle(free)
    if is_silent:  # of two happenings the history knows one
        known = known[1:] if len(question.topics) > 1 else []
    own = [
        Telling(said=said, session=number, is_evidence=not is_silent)
        for said, number in zip(known, sorted(_taken(free, len(known))), strict=True)
    ]
    background = _background(question.topics, len(times) // _BACKGROUND_SHARE, random)
    tellings = [
        *_on_different_days(own, times),
        *(Telling(said=said, session=len(times) - len(later) + index) for index, said in enumerate(later)),
        *_of_others(question.topics, user, free, random),
        *(Telling(said=said, session=free.pop()) for said in background),
    ]
    words = ", ".join(sorted(content_words(question.text)))
    decoys = [Planting(session=free.pop(), sentence=phrase(template, random, words=words)) for template in _DECOYS]
    return Life(tuple(tellings), tuple(decoys))


def _of_others(topics: Sequence[Topic], user: Persona, free: list[int], random: Random) -> list[Telling]:
    asked = [topics[index % len(topics)] for index in range(_STRANGERS)]
    return [
        Telling(said=drawn(topic, random), session=free.pop(), relative=relative)
        for topic, relative in zip(asked, user.relatives, strict=False)
    ]


def _background(asked: Sequence[Topic], count: int, random: Random) -> list[Said]:
    """Things said of matters that the question is not about."""
    others = [topic for pool in POOLS.values() for topic in pool if topic not in asked]
    return [drawn(topic, random) for topic in random.sample(others, min(count, len(others)))]


def _on_different_days(own: Sequence[Telling], times: Sequence[dt.datetime]) -> list[Telling]:
    """The tellings, with the first of two happenings a day earlier where both fell on one day."""
    if len(own) == 2 and own[0].day(times) is not None and own[0].day(times) == own[1].day(times):
        said = replace(own[0].said, days_back=(own[0].said.days_back or 0) + 1)
        return [replace(own[0], said=said), own[1]]
    return list(own)


def _taken(free: list[int], count: int) -> list[int]:
    return [free.pop() for _ in range(count)]
