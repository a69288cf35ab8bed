"""Generated chats whose words are as common as those of a language: Zipf's law over 50,000 words."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TURNS_A_SESSION = 10
TURN_CHARS = 400
QUESTION_WORDS = 8

_WORDS_A_TURN = 80
_VOCABULARY = 50_000
_START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_FUNCTION_WORDS = tuple(
    """
    the be to of and a in that have i it for not on with he as you do at this but his by from they we say her she or
    an will my one all would there their what so up out if about who get which go me when make can like time no just
    him know take
    """.split()  # noqa: SIM905
)
_CONTENT = slice(len(_FUNCTION_WORDS), None)


@dataclass(frozen=True, slots=True)
class Planted:
    """A question that is asked of the store, and the turn it was made of.

    Args:
        user: Whose.
        session: The caller's id of the session.
        position: The turn's place in it.
        question: Eight words: four that nearly every text has, three of the turn, one of another.
    """

    user: str
    session: str
    position: int
    question: str


class Chats:
    """A source of sessions, the same for the same seed.

    Args:
        seed: The seed.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.words = _vocabulary()
        self._weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(self.words))))

    def sessions(self, first: int, count: int) -> list[dict[str, Any]]:
        """Sessions as JSON has them, numbered from `first`, six hours apart."""
        turns = count * TURNS_A_SESSION
        drawn = self._random.choices(self.words, cum_weights=self._weights, k=turns * _WORDS_A_TURN)
        texts = (" ".join(drawn[at : at + _WORDS_A_TURN])[:TURN_CHARS] for at in range(0, len(drawn), _WORDS_A_TURN))
        return [self._session(number, texts) for number in range(first, first + count)]

    def plant(self, user: str, sessions: list[dict[str, Any]]) -> Planted:
        """A question about one of the turns."""
        session = self._random.choice(sessions)
        position = self._random.randrange(TURNS_A_SESSION)
        content = set(session["turns"][position]["text"].split()[:-1]) - set(_FUNCTION_WORDS)
        own = self._random.sample(sorted(content), 3)
        other = self._random.choices(self.words[_CONTENT], k=1)
        common = self._random.sample(_FUNCTION_WORDS, QUESTION_WORDS - 4)
        asked = [*common, *own, *other]
        self._random.shuffle(asked)
        return Planted(user, session["id"], position, " ".join(asked))

    @staticmethod
    def _session(number: int, texts: Iterator[str]) -> dict[str, Any]:
        begun = _START + dt.timedelta(hours=6 * number)
        turns = [
            {"role": "assistant" if place % 2 else "user", "text": text, "ts": begun + dt.timedelta(minutes=place)}
            for place, text in zip(range(TURNS_A_SESSION), texts, strict=False)
        ]
        return {"id": f"session-{number}", "started_at": begun, "turns": turns}


def _vocabulary() -> list[str]:
    """The commonest words of English, then made-up ones, none twice."""
    source = random.Random("vocabulary")
    made: dict[str, None] = dict.fromkeys(_FUNCTION_WORDS)
    while len(made) < _VOCABULARY:
        made["".join(source.choices("etaoinshrdlucmfwygpbvk", k=source.randint(3, 10)))] = None
    return list(made)
