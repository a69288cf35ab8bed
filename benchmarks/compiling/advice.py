"""A world in which a strategy helps by the advice it holds: nonce words throughout, drawn anew for each seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import dspy

Place: TypeAlias = Literal["final", "middle", "sub"]
PLACES: tuple[Place, ...] = ("final", "middle", "sub")

PIECES, NEEDED = 12, 2
TRAINING, VALIDATION, HELD_OUT = 24, 12, 24
HARM = 0.25
"""What each harmful line of a strategy takes from the score of every example; a score does not fall below 0."""

_HARMS, _GUESSES, _NOTE_WORDS = 40, 600, 60
_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "kl", "pl", "st", "tr")
_VOWELS = ("a", "e", "i", "o", "u", "au", "ei")


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of advice.

    Args:
        advice: The word by which a strategy holds it.
        symptom: The word that a run shows where it is needed and absent.
        place: Where in the run.
    """

    advice: str
    symptom: str
    place: Place


@dataclass(frozen=True, slots=True)
class Case:
    """One example, as the simulated models know it.

    Args:
        name: The word that stands in its input.
        needs: The pieces it needs.
        words: The right answer: a word for each piece.
        notes: The other input.
    """

    name: str
    needs: tuple[Piece, ...]
    words: tuple[str, ...]
    notes: str

    def example(self) -> dspy.Example:
        made = dspy.Example(case=self.name, notes=self.notes, answer=" ".join(self.words))
        return made.with_inputs("case", "notes")


@dataclass(frozen=True, slots=True)
class World:
    """All that one seed draws.

    Args:
        pieces: The advice there is.
        harms: Words of harmful lines.
        guesses: Words that a blind guess draws from; the advice is among them.
        training: Examples to learn from.
        validation: Examples to choose by.
        held_out: Examples that no optimizer is given.
    """

    pieces: tuple[Piece, ...]
    harms: tuple[str, ...]
    guesses: tuple[str, ...]
    training: tuple[Case, ...]
    validation: tuple[Case, ...]
    held_out: tuple[Case, ...]

    def cases(self) -> dict[str, Case]:
        return {case.name: case for case in (*self.training, *self.validation, *self.held_out)}

    def held(self, text: str) -> frozenset[Piece]:
        """The pieces that a strategy holds."""
        return frozenset(piece for piece in self.pieces if piece.advice in text)

    def harmful(self, text: str) -> tuple[str, ...]:
        """The harmful lines that it holds."""
        return tuple(word for word in self.harms if word in text)


def drawn(seed: int) -> World:
    """The world of a seed."""
    rng = random.Random(f"advice {seed}")
    words = nonce_words(rng)
    pieces = tuple(
        Piece(advice=next(words), symptom=next(words), place=place)
        for place in PLACES
        for _ in range(PIECES // len(PLACES))
    )
    guesses = [piece.advice for piece in pieces] + [next(words) for _ in range(_GUESSES - PIECES)]
    rng.shuffle(guesses)
    return World(
        pieces=pieces,
        harms=tuple(next(words) for _ in range(_HARMS)),
        guesses=tuple(guesses),
        training=_cases(rng, words, pieces, TRAINING),
        validation=_cases(rng, words, pieces, VALIDATION),
        held_out=_cases(rng, words, pieces, HELD_OUT),
    )


def nonce_words(rng: random.Random) -> Iterator[str]:
    """Words that mean nothing, none of which occurs in another."""
    drawn_before: set[str] = set()
    while True:
        word = _word(rng, 4)
        if not any(word in other or other in word for other in drawn_before):
            drawn_before.add(word)
            yield word


def filler(rng: random.Random) -> Iterator[str]:
    """More such words, a syllable shorter, so that none of the others occurs in one."""
    while True:
        yield _word(rng, 3)


def _word(rng: random.Random, syllables: int) -> str:
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(syllables)) + rng.choice("kmrstx")


def _cases(rng: random.Random, words: Iterator[str], pieces: Sequence[Piece], count: int) -> tuple[Case, ...]:
    """Cases that need every piece equally often."""
    while True:
        slots = [piece for piece in pieces for _ in range(count * NEEDED // len(pieces))]
        rng.shuffle(slots)
        needs = [tuple(slots[at : at + NEEDED]) for at in range(0, len(slots), NEEDED)]
        if all(len(set(needed)) == NEEDED for needed in needs):
            break
    return tuple(
        Case(
            name=f"case-{next(words)}",
            needs=needed,
            words=tuple(next(words) for _ in needed),
            notes=" ".join(itertools.islice(filler(rng), _NOTE_WORDS)),
        )
        for needed in needs
    )


def score(example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> float:
    """The share of the right words that were answered; each word beyond two costs `HARM`. The metric of all arms."""
    right, answered = str(example.answer).split(), str(getattr(prediction, "answer", "")).split()
    share = sum(word in answered for word in right) / len(right)
    return max(0.0, share - HARM * max(0, len(answered) - len(right)))
