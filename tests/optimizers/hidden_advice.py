"""A program that needs hidden pieces of advice, and a reflection model that finds them, without sandbox or LM."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Sequence
from typing import Any

import dspy


class World:
    """Examples need pieces of advice; of those that an instruction lacks, runs show symptoms.

    Args:
        seed: Of its words, examples and chances.
        pieces: Pieces of advice.
        train: Training examples.
        val: Validation examples.
        harm: Share of the reflection model's replies that add a harmful line.
        parts: Predictors of the program, of which the first needs the advice.
    """

    def __init__(
        self, seed: int = 0, *, pieces: int = 12, train: int = 24, val: int = 12, harm: float = 0.2, parts: int = 1
    ) -> None:
        chance = random.Random(f"world {seed}")
        self.advice = [_word(chance) for _ in range(pieces)]
        self.symptoms = [_word(chance) for _ in range(pieces)]
        self.needs: dict[str, list[int]] = {}
        self.train = self._examples("train", train, chance)
        self.val = self._examples("val", val, chance)
        self.parts = parts
        self.at_fault = 0
        self.runs = self.reflections = 0
        self.asked: list[str] = []
        self.interrupt_after: int | None = None
        self._harm = harm
        self._chance = random.Random(f"model {seed}")
        self._lock = threading.Lock()

    def _examples(self, name: str, count: int, chance: random.Random) -> list[dspy.Example]:
        found = [dspy.Example(q=f"{name} {number}").with_inputs("q") for number in range(count)]
        for example in found:
            self.needs[example.q] = chance.sample(range(len(self.advice)), 2)
        return found

    def held(self, text: str) -> list[int]:
        """Pieces that a text holds."""
        return [number for number, advice in enumerate(self.advice) if advice in text]

    def score(self, text: str, question: str) -> float:
        """The share of the pieces that a question needs; half of it where something harmful is told."""
        held = set(self.held(text))
        share = sum(number in held for number in self.needs[question]) / 2
        return share / 2 if "HARM" in text else share

    def reflect(self, request: str) -> str:
        """Edits the text that it finds in a request: two pieces at most whose symptoms it sees, and at times harm."""
        if self.interrupt_after is not None and self.runs > self.interrupt_after:
            raise KeyboardInterrupt
        self.reflections += 1
        self.asked.append(request)
        found = re.search(r"```\n(.*?)\n```", request, re.DOTALL)
        if found is None:
            return ""
        text, rest = found.group(1), request.replace(found.group(1), "")
        seen = [n for n, symptom in enumerate(self.symptoms) if symptom in rest and self.advice[n] not in text]
        chance = random.Random(f"{self._chance.random()}")
        for number in chance.sample(seen, min(2, len(seen))):
            text += f"\n- Mind {self.advice[number]}."
        if chance.random() < self._harm:
            text += f"\n- HARM {self.reflections}: be hasty."
        return f"Here it is.\n```\n{text}\n```"

    def program(self) -> Advised:
        """The program as it is given to be compiled."""
        return Advised(self)

    def metric(self, example: Any, prediction: Any, trace: Any = None) -> float:
        """The score that the prediction carries."""
        return prediction.score


class Part(dspy.Predict):
    """A predictor without an LM."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__("q -> a")
        self.world = world
        self.number = number
        self.signature = self.signature.with_instructions(f"Do part {number}.")

    def __deepcopy__(self, memo: dict[int, Any]) -> Part:
        copied = Part(self.world, self.number)
        copied.signature = self.signature
        return copied

    def forward(self, **kwargs: Any) -> dspy.Prediction:
        world, text, question = self.world, self.signature.instructions, kwargs["q"]
        held = world.held(text)
        lacking = [world.symptoms[n] for n in world.needs[question] if n not in held]
        shown = lacking if self.number == world.at_fault else []
        prediction = dspy.Prediction(a=" ".join(shown) or "fine")
        if dspy.settings.trace is not None:
            dspy.settings.trace.append((self, kwargs, prediction))
        return prediction


class Advised(dspy.Module):
    """The program: each part runs, and the score is that of the part at fault."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.first = Part(world, 0)
        if world.parts > 1:
            self.second = Part(world, 1)

    def __deepcopy__(self, memo: dict[int, Any]) -> Advised:
        copied = Advised(self.world)
        for mine, other in zip(self.members(), copied.members(), strict=True):
            other.signature = mine.signature
        return copied

    def members(self) -> Sequence[Part]:
        return [self.first, self.second] if self.world.parts > 1 else [self.first]

    def forward(self, q: str) -> dspy.Prediction:
        with self.world._lock:  # pyright: ignore[reportPrivateUsage]
            self.world.runs += 1
        for part in self.members():
            part(q=q)
        text = self.members()[self.world.at_fault].signature.instructions
        return dspy.Prediction(a="done", score=self.world.score(text, q))


def _word(chance: random.Random) -> str:
    return "".join(chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(4))
