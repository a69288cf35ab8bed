"""Words: what the index is given of a text, and what a question looks for."""

from __future__ import annotations

import re
import sqlite3
import unicodedata

# Of English, since nearly every text has them; a word of another language that is as common is dropped by its count.
STOP_WORDS = frozenset(
    """
    a about after all also am an and any are as at be because been before being but by can could did do does doing
    done for from get go going got had has have having he her here him his how i if in into is it its just like me
    more most my no not now of on one only or our out over own said say she should so some such than that the their
    them then there these they this those to too up us was we were what when where which while who whom why will with
    would yes you your ve ll re don didn doesn isn wasn
    """.split()  # noqa: SIM905
)
"""Words that a search does not look for."""

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[぀-ヿ㐀-䶿一-鿿豈-﫿가-힯]+")


def indexed(text: str) -> str:
    """A text as the index takes it: scripts without spaces in pairs of characters."""
    return text if text.isascii() else _UNSPACED.sub(_paired, text)


def words(question: str) -> list[str]:
    """The words a question looks for, each once, in their order."""
    folded = unicodedata.normalize("NFC", question).lower()
    found = dict.fromkeys(word for word in _WORD.findall(indexed(folded)) if word not in STOP_WORDS)
    return [word for word in found if len(word) > 1 or not word.isascii() or word.isdigit()]


def register(connection: sqlite3.Connection) -> None:
    """Makes `indexed` a function of SQL, named `indexed`."""
    connection.create_function("indexed", 1, indexed, deterministic=True)


def _paired(match: re.Match[str]) -> str:
    run = match[0]
    pairs = [run[at : at + 2] for at in range(len(run) - 1)] or [run]
    return f" {' '.join(pairs)} "
