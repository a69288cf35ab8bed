"""What people of the generated test set talk about: a topic, and how its templates become sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

_CHOICE = re.compile(r"\{([^{}]*\|[^{}]*)\}")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One matter that may come up in a life, in the words of those who live it and in those of who asks.

    Templates hold choices such as `{puppy|terrier}` and slots such as `{value}`. What is asked and what is said share
    hardly a word, so that a search for the question's words does not find the answer.

    Args:
        name: What tells it from others.
        asked: Questions; of an event, what `the day I …` goes on with.
        said: Sentences that hold the answer.
        of_others: The same said of somebody else.
        values: What fills `{value}`; empty for events.
        asked_before: Questions about the state before the last change, of what changes.
        request: What the user says before an assistant's sentence.
        is_sum: Whether amounts are added up rather than things counted.
    """

    name: str
    asked: tuple[str, ...]
    said: tuple[str, ...]
    of_others: tuple[str, ...]
    values: tuple[str, ...] = ()
    asked_before: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    is_sum: bool = False


def phrase(templates: str | Sequence[str], random: Random, **slots: object) -> str:
    """One of the templates, its choices made and its slots filled.

    Args:
        templates: One, or several to choose from.
        random: Chooses.
        **slots: What slots are filled with.

    Raises:
        KeyError: A slot has no filling.
    """
    text = templates if isinstance(templates, str) else random.choice(templates)
    filled = _SLOT.sub(lambda match: str(slots[match[1]]), text)  # first, since a choice may hold slots
    chosen = _CHOICE.sub(lambda match: random.choice(match[1].split("|")), filled)
    return chosen[:1].upper() + chosen[1:]
