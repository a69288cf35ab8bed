"""The predictors that the sandbox's `dspy` offers, and the options of each. Both sides run this file: the sandbox to
refuse a wrong option where it is written, the host because anything may come out of a sandbox.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

AGENT = "__dspy__"
"""The host function behind all of them, whose name no tool or input can have."""

_MOST = 1_000_000
_MANY, _LONG = 100, 1_000


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MOST


def _is_number(value: Any) -> bool:
    return (type(value) is int and abs(value) <= _MOST) or (type(value) is float and math.isfinite(value))


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_word(value: Any) -> bool:
    return type(value) is str and len(value) <= _LONG


def _are_words(value: Any) -> bool:
    return type(value) is list and len(value) <= _MANY and all(map(_is_word, value))


_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "model": ("the name of an LM", _is_word),
    "temperature": ("a number", _is_number),
    "top_p": ("a number", _is_number),
    "max_tokens": ("an integer above 0", _is_count),
    "stop": ("a str or a list of them", lambda value: _is_word(value) or _are_words(value)),
    "seed": ("a number", _is_number),
    "reasoning_effort": ("a short str", _is_word),
    "cache": ("True or False", _is_flag),
    "rollout_id": ("a number", _is_number),
    "max_iters": ("an integer above 0", _is_count),
    "max_llm_calls": ("an integer above 0", _is_count),
    "max_output_chars": ("an integer above 0", _is_count),
    "tools": ("a list of the run's tools", _are_words),
    "verbose": ("True or False", _is_flag),
}
_LM = ("model", "temperature", "top_p", "max_tokens", "stop", "seed", "reasoning_effort", "cache", "rollout_id")
_STEPS = ("tools", "max_iters")

KINDS: dict[str, tuple[str, ...]] = {
    "Predict": _LM,
    "ChainOfThought": _LM,
    "RLM": ("max_iters", "max_llm_calls", "max_output_chars", "tools", "verbose"),
    "ReAct": _STEPS,
    "ReActV2": _STEPS,
    "CodeAct": _STEPS,
    "ProgramOfThought": ("max_iters",),
}
"""The options of each kind, by name."""


def fault_of(kind: str, options: Mapping[Any, Any]) -> str:
    """What is wrong with the options of a predictor, in one sentence; empty where nothing is."""
    known = KINDS[kind]
    for name, value in options.items():
        if name not in known:
            return f"dspy.{kind} takes no option {str(name)[:80]!r} here; its options are {', '.join(known)}"
        wanted, is_right = _VALUES[name]
        if not is_right(value):
            return f"the option {name} of dspy.{kind} must be {wanted}, not {str(type(value).__name__)[:80]}"
    if kind == "CodeAct" and options.get("tools"):  # it would copy the text of their functions into its sandbox
        return "dspy.CodeAct cannot call tools of the run here; leave them out, or use dspy.ReActV2"
    return ""
