"""Who the user of a generated history is."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

_NAMES = ("Alex", "Billie", "Charlie", "Drew", "Elliot", "Frankie", "Jules", "Kim", "Marlow", "Noor", "Robin", "Sam")
_TRADES = (
    "carpenter",
    "cartographer",
    "florist",
    "librarian",
    "locksmith",
    "midwife",
    "notary",
    "optician",
    "plumber",
    "tailor",
    "translator",
    "welder",
)
_RELATIVES = ("aunt", "brother", "brother-in-law", "cousin", "godson", "neighbour", "niece", "stepsister", "uncle")


@dataclass(frozen=True, slots=True)
class Persona:
    """A user: name, trade, and the people that are talked about."""

    name: str
    trade: str
    relatives: tuple[str, ...]


def persona(random: Random) -> Persona:
    """Makes one up."""
    return Persona(random.choice(_NAMES), random.choice(_TRADES), tuple(random.sample(_RELATIVES, 4)))
