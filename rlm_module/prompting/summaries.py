"""What stands for older turns of a conversation: drawn up by the LM, or by rule, which is free and cannot fail."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from rlm_module.lms.accounts import Account
from rlm_module.prompting.predictors import CompactPredict
from rlm_module.prompting.shown import clip, harmless
from rlm_module.prompting.transcript import transcript
from rlm_module.sandbox.replay import assigned_names
from rlm_module.steps import Ask, Steps

logger = logging.getLogger(__name__)

_REASONING_CHARS, _OUTPUT_CHARS = 240, 400
_SUMMARY_CHARS = 12_000
_FAULT_CHARS = 300
_ROOM_CHARS = 60_000
_CHARS_OF_TOKEN = 1.5
"""Fewer than a token has in almost any text, so that what is cut by it fits."""


def summary_by_rule(turns: Sequence[Mapping[str, str]]) -> str:
    """A line for each turn: what it was for, what it bound, and the ends of what it printed."""
    return clip("\n".join(_line(number, turn) for number, turn in enumerate(turns, 1)), _SUMMARY_CHARS)


def summary_by_lm(
    task: str, turns: Sequence[Mapping[str, str]], earlier: str, summed: int, room: int, account: Account
) -> Steps[str | None]:
    """Has the LM sum up turns.

    Args:
        task: The run's first request.
        turns: Those that are to be summed up, each with `reasoning`, `code` and `output`.
        earlier: What stands for the turns before them; empty where there are none.
        summed: How many those are.
        room: Characters that it can be given to read.
        account: Who pays.

    Returns:
        None where it cannot be paid, or fails: a summary must not end a run.
    """
    task = clip(task, room // 4)
    before = (
        f"--- Turns 1 to {summed}, as they were summed up before\n{clip(earlier, room // 4)}\n\n" if earlier else ""
    )
    record = before + transcript(turns, first=summed + 1, room=max(0, room - len(task) - len(before)))
    try:
        answer = yield Ask(CompactPredict(), {"task": task, "turns": record}, account)
    except Exception as error:
        fault = clip(" ".join(str(error).split()), _FAULT_CHARS)
        logger.warning("Older turns are summed up by rule, since the LM could not do it (%s).", fault)
        return None
    found = getattr(answer, "summary", None)
    return clip(harmless(found.strip()), _SUMMARY_CHARS) or None if isinstance(found, str) else None


def room_for_turns(chars: int, window: int | None) -> int:
    """Characters that an LM can be given to read of a conversation which is too long for it.

    Args:
        chars: How long that is.
        window: The LM's window in tokens, if it is known.
    """
    known = _ROOM_CHARS if window is None else int(_CHARS_OF_TOKEN * window)
    return min(_ROOM_CHARS, known, chars // 2)


def _line(number: int, turn: Mapping[str, str]) -> str:
    names = ", ".join(assigned_names(turn["code"]))
    bound = f" Bound: {names}." if names else ""
    reasoning, output = (" ".join(turn[name].split()) for name in ("reasoning", "output"))
    return f"{number}. {clip(reasoning, _REASONING_CHARS)}{bound} Printed: {clip(output, _OUTPUT_CHARS)}"
