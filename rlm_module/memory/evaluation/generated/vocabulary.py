"""Which words of a question say what it is about."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]{2,}")
_SMALL_WORDS = (
    "about again against ago all am an and answer any are as at be before been between by came can come could day days "
    "did do does find first for from get give go going had has have her his how if in into is it its kind lie many me "
    "much must my never now of off on one or our passed present put should since so something than that the their them "
    "then there these they this time to two up us use was we were what when where which while who whose why will with "
    "would you your"
)
_SMALL = frozenset(_SMALL_WORDS.split())


def content_words(text: str) -> set[str]:
    """Its words without those that any sentence may hold, in small letters."""
    return {word for word in _WORD.findall(text.lower()) if word not in _SMALL}
