"""Shortens a conversation that outgrows the LM's window: older turns become one that sums them up.

The summary is made by rule, not by an LM: it costs nothing and cannot fail. The variables of the REPL stay, and the
journal holds the turns as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlm_module.sandbox.replay import assigned_names
from rlm_module.shown import clip

_KEPT_TURNS = 2
_REASONING_CHARS, _OUTPUT_CHARS, _REQUEST_CHARS = 240, 400, 2_000
_SUMMARY_CHARS = 12_000


def compact(
    history: Sequence[Mapping[str, str]], trajectory: Sequence[Mapping[str, str]]
) -> tuple[list[dict[str, str]], str] | None:
    """A shorter history and the summary that begins it.

    Args:
        history: Turns as the LM is shown them, each with `request`, `reasoning` and `code`.
        trajectory: All turns of the run, each with `reasoning`, `code` and `output`.

    Returns:
        None where there is nothing left to shorten.
    """
    if len(history) <= _KEPT_TURNS:
        shortened = [{**turn, "request": clip(turn["request"], _REQUEST_CHARS)} for turn in history]
        return None if not history or shortened == [dict(turn) for turn in history] else (shortened, "")
    older = trajectory[: len(trajectory) - _KEPT_TURNS]
    summary = clip("\n".join(_line(number, turn) for number, turn in enumerate(older, 1)), _SUMMARY_CHARS)
    first = {
        "request": history[0]["request"],
        "reasoning": f"Turns 1 to {len(older)}, shortened. The variables they bound are still there.\n{summary}",
        "code": "",
    }
    kept = [dict(turn) for turn in history[-_KEPT_TURNS:]]
    return [first, *kept], summary


def _line(number: int, turn: Mapping[str, str]) -> str:
    names = ", ".join(assigned_names(turn["code"]))
    bound = f" Bound: {names}." if names else ""
    reasoning, output = (" ".join(turn[name].split()) for name in ("reasoning", "output"))
    return f"{number}. {clip(reasoning, _REASONING_CHARS)}{bound} Printed: {clip(output, _OUTPUT_CHARS)}"
