"""A task that an RLM solves only if it knows its tools and limits, programs for it, and a model that plays all parts.

An order is a list of lines in words. What the items cost only a tool knows, and how many are meant only a sub-LM, which
may be asked less often than there are lines. That a pair is two has to be learned: from an instruction, or a demo.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import dspy
from dspy.lm15 import Request

from rlm_module import RLM
from tests.scripted import ScriptedLM, fields, texts, turn

ADVICE = "A pair is two."
LEARNED = f"Work in small steps. {ADVICE}"
PRICES = {"tea": 3, "jam": 5, "rice": 7}
WEIGHTS = {"tea": 100, "jam": 450, "rice": 1000}
NUMBERS = {"one": 1, "four": 4, "a pair of": 2}

DEMO = {"request": "an old order", "reasoning": "I begin.", "code": "print('an old cell')"}


class Bill(dspy.Signature):
    """Say what the order costs."""

    order: list[str] = dspy.InputField()
    total: int = dspy.OutputField()


class Weigh(dspy.Signature):
    """Say what the order weighs, in grams."""

    order: list[str] = dspy.InputField()
    grams: int = dspy.OutputField()


class Read(dspy.Signature):
    """List the lines of the letter's order."""

    letter: str = dspy.InputField()
    order: list[str] = dspy.OutputField()


class Reply(dspy.Signature):
    """Answer the letter."""

    total: int = dspy.InputField()
    grams: int = dspy.InputField()
    answer: str = dspy.OutputField()


def price(item: str) -> int:
    """Coins that an item costs."""
    return PRICES[item]


def weight(item: str) -> int:
    """Grams that an item weighs."""
    return WEIGHTS[item]


def shelf(item: str) -> str:
    """Where an item stands."""
    return f"shelf {len(item)}"


class Shop(dspy.Module):
    """Two RLMs between two plain predictors."""

    def __init__(self, bill: RLM, weigh: RLM) -> None:
        super().__init__()
        self.read = dspy.Predict(Read)
        self.bill = bill
        self.weigh = weigh
        self.reply = dspy.Predict(Reply)

    def forward(self, letter: str) -> dspy.Prediction:
        order = self.read(letter=letter).order
        total, grams = self.bill(order=order).total, self.weigh(order=order).grams
        return self.reply(total=total, grams=grams)


_LIMITS: dict[str, Any] = {"max_iters": 6, "max_llm_calls": 3}
_OTHER_LIMITS: dict[str, Any] = {"max_iters": 9, "max_llm_calls": 2}


def one_rlm(*, other: bool = False) -> RLM:
    """An RLM on its own; one with other limits and tools, to load a state into."""
    return _rlm(Bill, price, other)


def outer_program(*, other: bool = False) -> Shop:
    """A program with two RLMs and plain predictors."""
    return Shop(_rlm(Bill, price, other), _rlm(Weigh, weight, other))


def _rlm(task: type[dspy.Signature], tool: Callable[..., Any], other: bool) -> RLM:
    tools = [shelf, tool] if other else [tool]
    return RLM(task, tools=tools, **(_OTHER_LIMITS if other else _LIMITS))


def told(rlm: RLM) -> list[str]:
    """What the contract of an RLM of the shop has to say, whatever was compiled."""
    (output,) = rlm.signature.output_fields
    tools = [f"- `{name}(item: str)`: {tool.desc}" for name, tool in rlm.tools.items()]
    return [f"SUBMIT({output}: int)", limits_told(rlm), "- `llm_query_batched(", *tools]


def limits_told(rlm: RLM) -> str:
    """How an RLM's contract words its limits."""
    return f"at most {rlm.max_iters} turns and {rlm.max_llm_calls} sub-LM calls"


def rlms_of(program: dspy.Module) -> list[RLM]:
    """The RLMs of a program, without those of other candidates that an optimizer hangs on it."""
    own = {id(predictor) for predictor in program.predictors()}
    modules = (module for _, module in program.named_sub_modules())
    return [module for module in modules if isinstance(module, RLM) and id(module.generate_action) in own]


PLAIN = ["one tea", "four jam", "one rice", "four tea", "one jam"]
PAIRS = ["one tea", "a pair of jam", "four rice", "a pair of tea", "one jam"]


def example(order: Sequence[str], *, is_letter: bool) -> dspy.Example:
    """An order with its answer, for an RLM alone or as a letter for the program."""
    lines = [re.fullmatch(r"(.+) (\w+)", line) for line in order]
    parts = [(NUMBERS[line[1]], line[2]) for line in lines if line]
    total, grams = (sum(number * table[item] for number, item in parts) for table in (PRICES, WEIGHTS))
    if is_letter:
        letter = f"Please send {', '.join(order)}"
        return dspy.Example(letter=letter, answer=f"{total} coins, {grams} g").with_inputs("letter")
    return dspy.Example(order=list(order), total=total).with_inputs("order")


def is_right(gold: dspy.Example, prediction: Any, *_: Any) -> bool:
    """Whether an example is solved."""
    return all(prediction.get(name) == value for name, value in gold.labels().items())


def with_feedback(gold: dspy.Example, prediction: Any, *_: Any) -> dspy.Prediction:
    """The share of the answer's numbers that are right, as GEPA wants it."""
    wanted, found = (
        re.findall(r"\d+", " ".join(map(str, one))) for one in (gold.labels().values(), prediction.values())
    )
    score = sum(number in found for number in wanted) / len(wanted)
    return dspy.Prediction(score=score, feedback="Right." if score == 1 else "Wrong: mind the pairs.")


class ShopLM(ScriptedLM):
    """Plays the root, the sub-LM, the plain predictors, and the LM that writes instructions.

    As the root it can do only what it is told of: tools by their line in the contract, limits by theirs. At
    temperature 1, it minds pairs unasked in every second run that has some.
    """

    def __init__(self) -> None:
        super().__init__(self._answer)
        self._sampled = Counter[str]()

    def __deepcopy__(self, memo: dict[int, Any]) -> ShopLM:
        return self  # copies of a program speak to the one model

    def _answer(self, request: Request) -> str:
        said = texts(request)
        system = said[0][1] if said[0][0] == "system" else ""
        if not system:
            return "\n".join(str(_number(line)) for line in said[-1][1].splitlines()[1:])
        if "`code`" in system:
            return self._turn(request, system, said[1:])
        wanted = re.findall(r"^\d+\. `(\w+)`", system.partition("Your output fields are:")[2], re.MULTILINE)
        replies = {name: self._field(name, said[-1][1]) for name in wanted}
        return json.dumps(replies) if "JSON object" in system else fields(**replies)

    def _turn(self, request: Request, system: str, said: list[tuple[str, str]]) -> str:
        output = re.search(r"^\s*SUBMIT\((\w+): int\)", system, re.MULTILINE)
        limit = re.search(r"at most \d+ turns and (\d+) sub-LM calls", system)
        tool = re.search(r"^\s*- `(price|weight)\(item: str\)`", system, re.MULTILINE)
        if not (output and limit and tool):
            return turn("print('I was not told how.')")
        if "[Turn 1 of" not in said[-1][1]:
            return turn(f"SUBMIT({output[1]}=sum(n * {tool[1]}(line.split()[-1]) for n, line in zip(counts, order)))")
        knows = any(ADVICE in text for _, text in [("", system), *said]) or any("'pair', 2" in text for _, text in said)
        if not knows and request.config.temperature == 1 and "pair" in said[-1][1]:
            self._sampled[tool[1]] += 1
            knows = self._sampled[tool[1]] % 2 == 0
        return turn(
            f"share = -(-len(order) // {limit[1]})\n"
            "parts = [order[i:i + share] for i in range(0, len(order), share)]\n"
            f"known = ('pair', {2 if knows else 1})\n"
            "asked = [f'Count; {known[0]} means {known[1]}.\\n' + '\\n'.join(part) for part in parts]\n"
            "counts = [int(n) for reply in llm_query_batched(asked) for n in reply.split()]\n"
            "if known[1] == 1:\n"
            "    counts = [1 if 'pair' in line else n for n, line in zip(counts, order)]"
        )

    def _field(self, name: str, asked: str) -> str:
        """What a plain predictor, or an optimizer's, is answered."""
        if name == "order":
            return json.dumps(re.findall(r"(?:one|four|a pair of) \w+", asked.partition("Please send")[2]))
        if name == "answer":
            total, grams = (re.search(rf"## {of} ## \]\]\n(\d+)", asked) for of in ("total", "grams"))
            return f"{total[1] if total else '?'} coins, {grams[1] if grams else '?'} g"
        if name in ("total", "grams"):
            return "0"  # drawn up of a run that came to nothing
        if name in ("module_advice", "advice"):
            return json.dumps(dict.fromkeys(re.findall(r"[\w.]*(?:generate_action|extract)", asked), ADVICE))
        return LEARNED


def _number(line: str) -> int:
    return next((number for words, number in NUMBERS.items() if line.startswith(words)), 0)
