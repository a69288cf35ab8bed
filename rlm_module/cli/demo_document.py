"""The demo's document: dated records of made-up customers, and two questions about it whose answers are known."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

_LABELS = ("refund", "delivery", "billing", "bug", "praise", "question", "cancellation", "account")
_PRODUCTS = ("kettle", "desk lamp", "rain jacket", "tent", "headphones", "rucksack", "coffee mill", "bike light")
_CITIES = ("Lisbon", "Oslo", "Ghent", "Turin", "Cork", "Graz", "Malmo", "Porto", "Leeds", "Brno")
_DEPOTS = ("Larkspur", "Foxglove", "Juniper", "Marigold", "Bramble", "Sorrel", "Tamarisk", "Yarrow")
_BIRDS = ("KESTREL", "HERON", "MERLIN", "PLOVER", "OSPREY", "DUNLIN", "CURLEW", "AVOCET")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November")
# Every text may stand under every label, so that a word of a text says nothing about the label of its record.
_TEXTS = (
    "The {product} I ordered to {city} came {days} days late, but the box was intact.",
    "How long does a refund for a {product} take? I sent it back from {city} {days} days ago.",
    "My {product} stopped working after {days} days; the shop in {city} told me to write to you.",
    "I was charged twice for the same {product}. Order {order}, paid in {city}.",
    "Thank you for the quick help with order {order}; the {product} is exactly what I wanted.",
    "Please cancel order {order}. I found a cheaper {product} here in {city}.",
    "The app signs me out whenever I open the page of the {product}, {days} times today.",
    "Has order {order} left the depot in {city} yet? It has said 'packed' for {days} days.",
    "I moved to {city} and cannot change the address of my account or of order {order}.",
    "Asked for a refund, got a second {product} instead. Please look into order {order}.",
)
_USERS = 24
_DAYS = 334


@dataclass(frozen=True, slots=True)
class Quiz:
    """A question with its known answer.

    Args:
        signature: The dspy signature to ask it with: inputs `records` and `question`, one output.
        question: What to ask.
        truth: The answer.
        wrong: Answers that stand in the document, too, and belong to other questions.
    """

    signature: str
    question: str
    truth: int | str
    wrong: tuple[str, ...] = ()

    def is_right(self, answer: object) -> bool:
        """Whether an answer is the truth; a text may say it in a sentence, as long as it names no wrong one."""
        if isinstance(self.truth, int):
            return answer == self.truth
        return self.truth in str(answer) and not any(wrong in str(answer) for wrong in self.wrong)


@dataclass(frozen=True, slots=True)
class DemoDocument:
    """The text, one record a line, and what to ask about it."""

    text: str
    quizzes: tuple[Quiz, ...]


def write(seed: int, chars: int) -> DemoDocument:
    """Makes up a document; the same arguments give the same one.

    Args:
        seed: Decides the records, the questions and their answers.
        chars: Least length of the text.
    """
    chance = random.Random(seed)
    asked_user = f"u_{chance.randrange(_USERS):02}"
    asked_label = chance.choice(_LABELS)
    asked_month = chance.randrange(len(_MONTHS))
    records: list[tuple[date, str, str, str]] = []
    length = matching = 0
    while length < chars:
        day = date(2025, 1, 1) + timedelta(days=chance.randrange(_DAYS))
        user, label = f"u_{chance.randrange(_USERS):02}", chance.choice(_LABELS)
        records.append((day, user, label, _text(chance)))
        length += len(" | ".join(map(str, records[-1]))) + 1
        matching += (user, label, day.month) == (asked_user, asked_label, asked_month + 1)
    depots, codes = chance.sample(_DEPOTS, len(_DEPOTS)), chance.sample(_BIRDS, len(_BIRDS))
    secrets = [f"{chance.randint(2, 9)}Q-{chance.randint(1000, 9999)}-{code}" for code in codes]
    # Staff are no customers: their notes must not change what is counted.
    for text in _notes(depots, secrets):
        records.append((date(2025, 1, 1) + timedelta(days=chance.randrange(_DAYS)), "u_staff", "note", text))
    records.sort(key=lambda record: record[0])
    counting = Quiz(
        "records: str, question: str -> count: int",
        f"How many records of user {asked_user} are labelled '{asked_label}' in {_MONTHS[asked_month]} 2025?",
        matching,
    )
    needle = Quiz(
        "records: str, question: str -> answer: str",
        f"What is the vault code of the {depots[0]} depot?",
        secrets[0],
        tuple(secrets[1:]),
    )
    return DemoDocument("\n".join(" | ".join(map(str, record)) for record in records) + "\n", (counting, needle))


def _text(chance: random.Random) -> str:
    return chance.choice(_TEXTS).format(
        product=chance.choice(_PRODUCTS),
        city=chance.choice(_CITIES),
        days=chance.randint(2, 30),
        order=chance.randint(100_000, 999_999),
    )


def _notes(depots: Sequence[str], secrets: Sequence[str]) -> list[str]:
    """One note that holds the needle, and others that share its words."""
    codes = [f"The vault code of the {depot} depot is {code}." for depot, code in zip(depots, secrets, strict=True)]
    return [
        *codes,
        f"The vault of the {depots[0]} depot was repainted; ask the manager for the code of the paint.",
        f"Whoever asks for the vault code of a depot by phone, the {depots[0]} depot included, must not be given it.",
    ]
