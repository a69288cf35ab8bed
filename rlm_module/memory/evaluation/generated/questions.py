"""Questions of the generated test set: what is planted for each type, and what the answer is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from rlm_module.memory.evaluation.cases import QuestionType
from rlm_module.memory.evaluation.generated.answers import ANSWERS
from rlm_module.memory.evaluation.generated.facts import FACTS
from rlm_module.memory.evaluation.generated.happenings import HAPPENINGS
from rlm_module.memory.evaluation.generated.tallies import TALLIES
from rlm_module.memory.evaluation.generated.tastes import TASTES
from rlm_module.memory.evaluation.generated.topics import Topic, phrase
from rlm_module.memory.evaluation.generated.updates import UPDATES

Operation = Literal["value", "newest", "previous", "count", "sum", "days_between", "days_since", "first"]

POOLS: dict[QuestionType, tuple[Topic, ...]] = {
    "single-session-user": FACTS,
    "single-session-assistant": ANSWERS,
    "single-session-preference": TASTES,
    "multi-session": TALLIES,
    "temporal-reasoning": HAPPENINGS,
    "knowledge-update": UPDATES,
}
_BETWEEN = (
    "How many days passed between the day I {one} and the day I {other}?",
    "I {one} and I {other}: how many days lie between the two?",
)
_SINCE = ("How many days ago was the day on which I {one}?", "How many days is it since I {one}?")
_FIRST = ("Which came first: (a) that I {one}, or (b) that I {other}? Answer a or b.",)
_MOST_DAYS_BACK = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something the user or the assistant says about a topic, before it has a session.

    Args:
        topic: The topic.
        value: What fills its slot, if it has one.
        amount: In euros, where amounts are summed.
        days_back: How many days before its session it happened, where that matters.
        template: Which of the topic's templates says it; None for any.
        is_later: Whether it is said only after the question is asked.
    """

    topic: Topic
    value: str | None = None
    amount: int | None = None
    days_back: int | None = None
    template: int | None = None
    is_later: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, what it is about, and what has to have been said for it.

    Args:
        text: The question.
        operation: What is to be done with what was said.
        topics: The topics it asks about, in the question's order.
        said: What is said about them; empty where the history is silent.
    """

    text: str
    operation: Operation
    topics: tuple[Topic, ...]
    said: tuple[Said, ...]


def asked(kind: QuestionType, random: Random) -> Asked:
    """A question of a type, with what is said for it."""
    topic = random.choice(POOLS[kind])
    if kind == "temporal-reasoning":
        return _dated(random)
    if kind == "multi-session":
        return _tally(topic, random)
    if kind == "knowledge-update":
        return _update(topic, random)
    said = (Said(topic=topic, value=random.choice(topic.values)),)
    return Asked(text=phrase(topic.asked, random), operation="value", topics=(topic,), said=said)


def _update(topic: Topic, random: Random) -> Asked:
    values = random.sample(topic.values, 4)
    states = tuple(Said(topic=topic, value=value) for value in values[: random.randint(2, 3)])
    later = Said(topic=topic, value=values[-1], is_later=True)
    operation: Operation = random.choice(("newest", "newest", "previous"))
    text = phrase(topic.asked if operation == "newest" else topic.asked_before, random)
    return Asked(text=text, operation=operation, topics=(topic,), said=(*states, later))


def _tally(topic: Topic, random: Random) -> Asked:
    values = random.sample(topic.values, random.randint(2, 4))
    if topic.is_sum:
        said = [Said(topic=topic, value=value, amount=random.randint(11, 390)) for value in values]
    else:
        # One is told of twice, so that mentions are not what counts.
        said = [Said(topic=topic, value=value, template=0) for value in values]
        said.append(Said(topic=topic, value=values[0], template=1))
    operation: Operation = "sum" if topic.is_sum else "count"
    return Asked(text=phrase(topic.asked, random), operation=operation, topics=(topic,), said=tuple(said))


def _dated(random: Random) -> Asked:
    one, other = random.sample(HAPPENINGS, 2)
    operation: Operation = random.choice(("days_between", "days_since", "first"))
    templates = {"days_between": _BETWEEN, "days_since": _SINCE, "first": _FIRST}[operation]
    topics = (one,) if operation == "days_since" else (one, other)
    text = phrase(
        templates,
        random,
        one=_small(phrase(one.asked, random)),
        other=_small(phrase(other.asked, random)),
    )
    said = tuple(Said(topic=topic, days_back=random.randint(0, _MOST_DAYS_BACK)) for topic in topics)
    return Asked(text=text, operation=operation, topics=topics, said=said)


def answer(question: Asked, days: Sequence[dt.date | None], asked_on: dt.date) -> str:
    """What the question's answer is, in the form it is scored by.

    Args:
        question: The question.
        days: For what is said, in order, the day it happened, where that matters.
        asked_on: The day of the question.
    """
    known = [said for said in question.said if not said.is_later]
    happened = [day for day in days if day is not None]
    match question.operation:
        case "value" | "newest":
            return str(known[-1].value)
        case "previous":
            return str(known[-2].value)
        case "count":
            return str(len({said.value for said in known}))
        case "sum":
            return str(sum(said.amount or 0 for said in known))
        case "days_between":
            return str(abs((happened[0] - happened[1]).days))
        case "days_since":
            return str((asked_on - happened[0]).days)
        case "first":
            return "a" if happened[0] < happened[1] else "b"


def sentence(said: Said, on: dt.date, relative: str, random: Random) -> str:
    """What is said, in words.

    Args:
        said: What.
        on: The day of its session.
        relative: Somebody else, for a sentence about them; empty for one about the user.
        random: Chooses.
    """
    own = said.topic.said if said.template is None else said.topic.said[said.template]
    return phrase(
        said.topic.of_others if relative else own,
        random,
        value=said.value,
        amount=said.amount,
        relative=relative,
        when=_when(on, said.days_back or 0, random),
    )


def drawn(topic: Topic, random: Random) -> Said:
    """Something that may be said of a topic."""
    return Said(
        topic=topic,
        value=random.choice(topic.values) if topic.values else None,
        amount=random.randint(11, 390) if topic.is_sum else None,
        days_back=None if topic.values else random.randint(0, _MOST_DAYS_BACK),
    )


def _when(on: dt.date, days_back: int, random: Random) -> str:
    day = on - dt.timedelta(days=days_back)
    exact = f"on {day.day} {day:%B}"
    if days_back == 0:
        return random.choice(("today", "this morning"))
    if days_back == 1:
        return "yesterday"
    if days_back < 7:
        return random.choice((f"last {day:%A}", exact))
    return random.choice(("a week ago today", exact)) if days_back == 7 else exact


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]
