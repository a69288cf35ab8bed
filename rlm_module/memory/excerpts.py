"""Excerpts of long texts: what stands around the words that it is about."""

from __future__ import annotations

import re
from collections import Counter

from rlm_module.memory.sqlite.words import words

_BLOCKS = 16
_MAX_WORDS = 200
_ABOUT_CHARS = 4_000


def excerpt(text: str, chars: int, about: str = "") -> str:
    """A text of at most about so many characters, with what was left out told where it stood.

    Args:
        text: A text of any length.
        chars: How much of it to keep.
        about: Of a longer one, passages with these words are kept, those with rare ones first; without any, its
            beginning and its end.
    """
    if len(text) <= chars:
        return text
    spans = _around(text, chars, about) or [(0, chars // 2), (len(text) - chars // 2, len(text))]
    parts: list[str] = []
    end = 0
    for start, stop in [*spans, (len(text), len(text))]:
        if start > end:
            parts.append(f"[{start - end:,} characters left out]")
        parts.append(text[start:stop])
        end = stop
    return " ".join(part for part in parts if part)


def _around(text: str, chars: int, about: str) -> list[tuple[int, int]]:
    """The best passages in order: blocks with the most telling words, each with half a block on either side."""
    size = max(1, chars // _BLOCKS)
    found: dict[int, set[str]] = {}
    for start, word in _occurrences(text, about):
        found.setdefault(start // size, set()).add(word)
    spread = Counter(word for held in found.values() for word in held)
    ranked = sorted(found, key=lambda block: (-sum(1 / spread[word] for word in found[block]), block))
    spans: list[tuple[int, int]] = []
    for block in ranked:
        middle = block * size
        merged = _merged([*spans, (max(0, middle - size // 2), min(len(text), middle + size + size // 2))])
        if sum(stop - start for start, stop in merged) > chars:
            break
        spans = merged
    return spans


def _occurrences(text: str, about: str) -> list[tuple[int, str]]:
    """Where the words stand, also as beginnings of longer ones."""
    wanted = words(about[:_ABOUT_CHARS])[:_MAX_WORDS]
    if not wanted:
        return []
    # Scripts without spaces have no beginnings of words.
    forms = (rf"\b{re.escape(word)}" if word.isascii() else re.escape(word) for word in sorted(wanted, reverse=True))
    pattern = re.compile("|".join(forms), re.IGNORECASE)
    return [(match.start(), match[0].lower()) for match in pattern.finditer(text)]


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged
