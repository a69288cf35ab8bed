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
_WORTH_IT = 0.9
"""A step that leaves more than this share of the conversation is none: each has to get somewhere, so that they end."""


def compact(
    history: Sequence[Mapping[str, str]], trajectory: Sequence[Mapping[str, str]]
) -> tuple[list[dict[str, str]], str] | None:
    """A shorter history and the summary that begins it: older turns are summed up first, then the last two, too.

    Args:
        history: Turns as the LM is shown them, each with `request`, `reasoning` and `code`.
        trajectory: All turns of the run, each with `reasoning`, `code` and `output`.

    Returns:
        None where there is nothing left to shorten.
    """
    limit = _WORTH_IT * _chars(history)
    for kept, longest in ((_KEPT_TURNS, None), (_KEPT_TURNS, _REQUEST_CHARS), (0, _REQUEST_CHARS)):
        shorter, summary = _shortened(history, trajectory, kept, longest)
        if _chars(shorter) < limit:
            return shorter, summary
    return None


def shortened_request(request: str) -> str | None:
    """A request cut down to its beginning and its end; None where that is no shorter."""
    shorter = clip(request, _REQUEST_CHARS)
    return shorter if len(shorter) < _WORTH_IT * len(request) else None


def _shortened(
    history: Sequence[Mapping[str, str]], trajectory: Sequence[Mapping[str, str]], kept: int, longest: int | None
) -> tuple[list[dict[str, str]], str]:
    """The last turns with requests up to a length, after one that sums up those before them.

    The first request, which holds the task, stays whole as long as anything else can be cut.
    """
    last = [dict(turn) for turn in history[len(history) - min(kept, len(history)) :]]
    older = trajectory[: len(trajectory) - len(last)]
    if longest is not None:
        first = 0 if older else 1
        last = [
            {**turn, "request": clip(turn["request"], longest)} if number >= first else turn
            for number, turn in enumerate(last)
        ]
    if not older:
        return last, ""
    summary = clip("\n".join(_line(number, turn) for number, turn in enumerate(older, 1)), _SUMMARY_CHARS)
    beginning = {
        "request": history[0]["request"],
        "reasoning": f"Turns 1 to {len(older)}, shortened. The variables they bound are still there.\n{summary}",
        "code": "",
    }
    return [beginning, *last], summary


def _chars(history: Sequence[Mapping[str, str]]) -> int:
    return sum(len(text) for turn in history for text in turn.values())


def _line(number: int, turn: Mapping[str, str]) -> str:
    names = ", ".join(assigned_names(turn["code"]))
    bound = f" Bound: {names}." if names else ""
    reasoning, output = (" ".join(turn[name].split()) for name in ("reasoning", "output"))
    return f"{number}. {clip(reasoning, _REASONING_CHARS)}{bound} Printed: {clip(output, _OUTPUT_CHARS)}"
