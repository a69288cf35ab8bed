"""The turns of a run as one text, for an LM that did not take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlm_module.prompting.shown import clip, harmless

_PARTS = ("reasoning", "code", "output")
_FRAME_CHARS = 120
"""Of a turn beside its texts: its headings, and a word on what was cut out of one."""


def transcript(turns: Sequence[Mapping[str, str]], *, first: int = 1, room: int | None = None) -> str:
    """Turns with their reasoning, code and output.

    Args:
        turns: In order.
        first: The number of the first one.
        room: Characters that it may have, in about; the longest texts are cut to one length, short ones stay whole.
    """
    lengths = [len(turn[part]) for turn in turns for part in _PARTS]
    longest = None if room is None else _longest(lengths, max(0, room - _FRAME_CHARS * len(turns)))
    texts = (
        f"--- Turn {number}\n{reasoning}\n\nCode:\n{code}\n\nOutput:\n{output}"
        for number, (reasoning, code, output) in enumerate((_cut(turn, longest) for turn in turns), first)
    )
    found = harmless("\n\n".join(texts))
    return found if room is None else clip(found, room)


def _cut(turn: Mapping[str, str], longest: int | None) -> tuple[str, ...]:
    return tuple(turn[part] if longest is None else clip(turn[part], longest) for part in _PARTS)


def _longest(lengths: Sequence[int], room: int) -> int:
    """The length to which texts have to be cut so that all together fit."""
    left = room
    for count, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - count)
        if length > share:
            return share
        left -= length
    return max(lengths, default=0)
