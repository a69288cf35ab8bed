"""Demonstrations of an RLM: whole successful trajectories as plain JSON, shown as the beginning of a conversation.

One demonstration is `{"turns": [{"request": …, "reasoning": …, "code": …}, …]}`. What stock optimizers of dspy gather,
single turns with the history before them, becomes the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from rlm_module.events import Acted, AnyEvent, Diverged, Resumed, RunFinished
from rlm_module.prompting.shown import without_secrets

Demonstration: TypeAlias = dict[str, list[dict[str, str]]]

DEMO_TOKENS = 8_000
"""The most that the demonstrations of one predictor take of its prompt, at four characters a token."""
TURN_FIELDS = ("request", "reasoning", "code")
_CHARS_A_TOKEN = 4
_TASK_CHARS, _OUTPUT_CHARS, _REASONING_CHARS = 2_000, 1_200, 1_000
_CUT = "\n... [shortened] ...\n"
_BEGINNING = "(An example: an earlier task, which was solved. Its variables are gone.)\n"

# How a request ends, which is true of one run only: turns, calls and budget left.
_LIMITS = re.compile(r"\s*\[Turn \d+ of \d+\.[^\n]*\]\s*\Z")


def without_limits(request: str) -> str:
    """A turn's request without the line on what was left to the run that it was of."""
    return _LIMITS.sub("", request)


def demonstration(events: Iterable[AnyEvent]) -> Demonstration | None:
    """A run's root as a demonstration, with long requests shortened.

    Args:
        events: All of one root run's.

    Returns:
        None for a run that did not end by submitting its answer.
    """
    turns, is_submitted = dict[int, dict[str, str]](), False
    for event in events:
        if event.node:
            continue
        match event:
            case Acted():
                said = {"request": event.request, "reasoning": event.reasoning, "code": event.code}
                turns[event.turn] = {name: without_secrets(text) for name, text in said.items()}
            case Diverged():
                turns = {number: turn for number, turn in turns.items() if number <= event.turn}
            case RunFinished() | Resumed():
                is_submitted = isinstance(event, RunFinished) and event.reason == "submitted"
            case _:
                pass
    return _shortened([turns[number] for number in sorted(turns)]) if is_submitted and turns else None


def plain_demos(demos: Iterable[Any]) -> list[Demonstration]:
    """Demonstrations as plain JSON, in order, without limits of the runs that they are of.

    Args:
        demos: Demonstrations; turns as dicts or `dspy.Example`, each with the `history` before it. What is neither,
            such as a labelled example of the whole task, is left out.
    """
    found = (_turns(demo) for demo in demos)
    return [_shortened(turns) for turns in found if turns]


def is_demonstration(demo: Any) -> bool:
    """Whether it is a demonstration, or a turn as stock optimizers gather it, with nothing in it that would be lost."""
    if isinstance(demo, Mapping) and "turns" in demo:
        turns: Any = demo["turns"]
        return isinstance(turns, list) and bool(turns) and all(_is_turn(turn) for turn in turns)
    return _is_turn(demo)


def shown_turns(demos: Iterable[Any]) -> list[dict[str, str]]:
    """The turns that a conversation begins with: those of the first demonstrations, as many as fit whole."""
    shown, left = list[dict[str, str]](), DEMO_TOKENS
    for demo in plain_demos(demos):
        tokens = tokens_of(demo)
        if tokens <= left:
            left -= tokens
            first, *others = demo["turns"]
            shown += [{**first, "request": _BEGINNING + first["request"]}, *others]
    return shown


def tokens_of(demo: Demonstration) -> int:
    """About how much of a prompt a demonstration takes."""
    return sum(len(text) for turn in demo["turns"] for text in turn.values()) // _CHARS_A_TOKEN


def _turns(demo: Any) -> list[dict[str, str]]:
    fields = dict(demo.items()) if isinstance(demo, Mapping) or hasattr(demo, "items") else {}
    turns = fields.get("turns")
    if isinstance(turns, (list, tuple)):
        return [_turn(turn) for turn in turns if _is_turn(turn)]
    if not _is_turn(fields):
        return []
    earlier = fields.get("history")
    messages = getattr(earlier, "messages", earlier)
    before = messages if isinstance(messages, (list, tuple)) else ()
    return [*(_turn(message) for message in before if _is_turn(message)), _turn(fields)]


def _is_turn(fields: Any) -> bool:
    return isinstance(fields, Mapping) and all(isinstance(fields.get(name), str) for name in TURN_FIELDS)


def _turn(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(fields[name]) for name in TURN_FIELDS}


def _shortened(turns: Iterable[Mapping[str, str]]) -> Demonstration:
    """Turns with what they show cut down; what they do stays whole. Doing it again changes nothing."""
    return {
        "turns": [
            {
                "request": _cut(without_limits(turn["request"]), _OUTPUT_CHARS if number else _TASK_CHARS),
                "reasoning": _cut(turn["reasoning"], _REASONING_CHARS),
                "code": turn["code"],
            }
            for number, turn in enumerate(turns)
        ]
    }


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = (limit - len(_CUT)) // 2
    return f"{text[:half]}{_CUT}{text[len(text) - half :]}"
