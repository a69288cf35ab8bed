"""A history: sessions of small talk over most of a year, with sentences planted in some of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from rlm_module.memory.evaluation.generated.personas import Persona
from rlm_module.memory.evaluation.generated.small_talk import CHATS, LEAD_INS, Talker

_SPAN = dt.timedelta(days=300)
_EXCHANGES = (4, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planting:
    """A sentence that a session holds.

    Args:
        session: The session's number, from 0.
        sentence: The sentence.
        request: What the user says first, where the sentence is the assistant's.
        is_evidence: Whether the answer follows from it.
    """

    session: int
    sentence: str
    request: str = ""
    is_evidence: bool = False


@dataclass(frozen=True, slots=True)
class Haystack:
    """Sessions with their ids and times, oldest first, and where each planted sentence stands.

    Args:
        ids: Of the sessions.
        times: When they began.
        sessions: Turns with `role`, `content`, and in evidence `has_answer`.
        places: For each planting, in order, the number of its turn in its session.
    """

    ids: tuple[str, ...]
    times: tuple[dt.datetime, ...]
    sessions: tuple[list[dict[str, Any]], ...]
    places: tuple[int, ...]


def session_times(count: int, asked_at: dt.datetime, random: Random, later: int = 0) -> tuple[dt.datetime, ...]:
    """When the sessions took place, in order.

    Args:
        count: How many there are.
        asked_at: When the question is asked.
        random: Chooses.
        later: How many of them take place after that.
    """
    minutes = int(_SPAN.total_seconds()) // 60
    before = sorted(random.sample(range(60, minutes), count - later), reverse=True)
    after = sorted(random.sample(range(24 * 60, 30 * 24 * 60), later))
    return (
        *(asked_at - dt.timedelta(minutes=ago) for ago in before),
        *(asked_at + dt.timedelta(minutes=to_come) for to_come in after),
    )


def haystack(persona: Persona, times: Sequence[dt.datetime], plantings: Sequence[Planting], random: Random) -> Haystack:
    """Fills sessions with small talk, and plants the sentences."""
    places: dict[int, int] = {}
    sessions: list[list[dict[str, Any]]] = []
    for number in range(len(times)):
        here = {index: planting for index, planting in enumerate(plantings) if planting.session == number}
        turns, found = _session(persona, here, random)
        sessions.append(turns)
        places |= found
    ids = tuple(f"{random.getrandbits(32):08x}_{number}" for number in range(len(times)))
    return Haystack(ids, tuple(times), tuple(sessions), tuple(places[index] for index in range(len(plantings))))


def _session(
    persona: Persona, plantings: Mapping[int, Planting], random: Random
) -> tuple[list[dict[str, Any]], dict[int, int]]:
    """The turns of a session, and the number of the turn that holds each planting."""
    talker = Talker(random.choice(CHATS), persona.name, persona.trade, random)
    exchanges = [(talker.opening(), talker.explanation())]
    exchanges += [(talker.follow_up(), talker.explanation()) for _ in range(random.randint(*_EXCHANGES))]
    exchanges.append((talker.thanks(), talker.explanation()))
    slots = dict(zip(random.sample(range(1, len(exchanges)), len(plantings)), plantings.items(), strict=True))
    turns: list[dict[str, Any]] = []
    places: dict[int, int] = {}
    for number, (asked, explained) in enumerate(exchanges):
        user: dict[str, Any] = {"role": "user", "content": asked}
        assistant: dict[str, Any] = {"role": "assistant", "content": explained}
        if number in slots:
            index, planting = slots[number]
            holder = assistant if planting.request else user
            if planting.request:
                user["content"] = planting.request
                assistant["content"] = f"{planting.sentence} {explained}"
            else:
                user["content"] = f"{random.choice(LEAD_INS)}{planting.sentence} {asked}"
            if planting.is_evidence:
                holder["has_answer"] = True
            places[index] = len(turns) + (holder is assistant)
        turns += [user, assistant]
    return turns, places
