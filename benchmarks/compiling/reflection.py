"""The simulated reflection model: it knows texts only, and answers whoever asks in the form they ask for."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from benchmarks.compiling.advice import Piece, World
from benchmarks.compiling.messages import Message, in_form_asked, instruction_of, output_fields, text_of

MOST_ADDED, HARMFUL_SHARE = 2, 0.2
_EDITED = re.compile(r"instruction|strategy|text|prompt", re.I)
_QUOTED = re.compile(r"[`'\"]([A-Za-z_][\w.\[\]]*)[`'\"]")
_NAMED = re.compile(r"component|name|fault|blame", re.I)


class LeakError(AssertionError):
    """Advice stands in records, where only symptoms may."""


class ReflectionModel:
    """Edits the instruction that it finds in the messages: it adds at most two pieces of advice whose symptoms it sees
    there, and a harmful line in a fifth of its calls.

    Args:
        world: What it knows: which advice mends which symptom.
        seed: Of its choices.
        guesses: Whether it adds a blind guess where it sees no symptom, instead of nothing.
    """

    def __init__(self, world: World, seed: int, *, guesses: bool = False) -> None:
        self.calls = 0
        self.blames = 0
        self.shown: set[Piece] = set()
        self._world = world
        self._rng = random.Random(f"reflection {seed}")
        self._guesses = guesses
        self._own: list[str] = []

    def __call__(self, messages: Sequence[Message]) -> str:
        self.calls += 1
        current = instruction_of(messages)
        fields = output_fields(messages)
        wanted = next((name for name in fields if _EDITED.search(name)), None)
        if current is None or (fields and wanted is None):
            return self._blame(messages, fields)
        edited = self._edited(current, self._outside(current, text_of(messages)))
        self._own.append(edited)
        others = dict.fromkeys(fields, "The runs lack what the new text adds.")
        return in_form_asked(messages, {**others, wanted or "text": edited})

    def _outside(self, current: str, text: str) -> str:
        """All of the messages but instructions: this one, and what it wrote itself before."""
        for known in (current, *reversed(self._own)):
            text = text.replace(known, " ")
        leaked = sorted(piece.advice for piece in self._world.held(text))
        if leaked:
            raise LeakError(f"Advice stands in the records: {', '.join(leaked)}.")
        return text

    def _edited(self, current: str, records: str) -> str:
        held = self._world.held(current)
        visible = [piece for piece in self._world.pieces if piece.symptom in records]
        self.shown |= set(visible)
        useful = [piece for piece in visible if piece not in held]
        self._rng.shuffle(useful)
        lines = [f"- Always mind the {piece.advice}." for piece in useful[:MOST_ADDED]]
        if not useful and self._guesses:
            lines.append(f"- Always mind the {self._rng.choice(self._world.guesses)}.")
        if self._rng.random() < HARMFUL_SHARE:
            free = [word for word in self._world.harms if word not in current]
            lines.append(f"- Never leave out the {self._rng.choice(free)}.")
        return "\n".join([current, *lines])

    def _blame(self, messages: Sequence[Message], fields: Sequence[str]) -> str:
        """Answers which of several parts is at fault: the one that most symptoms are told of."""
        self.blames += 1
        text = text_of(messages)
        names = names_asked_for(text)
        counts = Counter(told_of(text, [piece.symptom for piece in self._world.pieces], names))
        most = max(counts.values(), default=0)
        chosen = self._rng.choice([name for name in names if counts[name] == most])
        wanted = next((name for name in fields if _NAMED.search(name)), "name")
        others = dict.fromkeys(fields, "The runs show it.")
        return in_form_asked(messages, {**others, wanted: chosen})


def names_asked_for(text: str) -> list[str]:
    """The names that a question offers to choose from: those in the last paragraph that quotes several.

    Raises:
        ValueError: If there is no such paragraph.
    """
    for paragraph in reversed(text.split("\n\n")):
        names = list(dict.fromkeys(_QUOTED.findall(paragraph)))
        if len(names) > 1:
            return names
    raise ValueError(f"Neither an instruction to edit nor names to choose from: {text[-500:]!r}.")


def told_of(text: str, symptoms: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """For each place where a symptom stands, the name that was mentioned last before it."""
    mentions = [(found.start(), name) for name in names for found in re.finditer(rf"\b{re.escape(name)}\b", text)]
    for symptom in symptoms:
        for found in re.finditer(re.escape(symptom), text):
            earlier = [mention for mention in mentions if mention[0] < found.start()]
            if earlier:
                yield max(earlier)[1]


def blanked(world: World, answer: Callable[[Sequence[Message]], str]) -> Callable[[Sequence[Message]], str]:
    """The same model, shown records without content: every nonce word that a run could show is struck out first."""
    shown = [piece.symptom for piece in world.pieces]
    for case in world.cases().values():
        shown += [case.name, case.notes, *case.words]
    struck = re.compile("|".join(map(re.escape, sorted(shown, key=len, reverse=True))))

    def blind(messages: Sequence[Message]) -> str:
        return answer([replace(message, text=struck.sub("…", message.text)) for message in messages])

    return blind
