"""BM25 of a few texts, with the same words as the index has: same stems, same folding."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from rlm_module.memory.sqlite.words import indexed

_K1 = 1.2
_B = 0.75
READ_CHARS = 20_000
"""How much of a text is read for its words; of a longer one the rest only helps to find it."""


class Ranker:
    """An index in memory of the texts that are being compared, empty between two searches.

    One search uses it at a time; it is closed with `close`.
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.execute(
            """
            CREATE VIRTUAL TABLE texts USING fts5 (
                text, content = '', columnsize = 0, tokenize = "porter unicode61 remove_diacritics 2"
            )
            """
        )
        self._connection.execute("CREATE VIRTUAL TABLE uses USING fts5vocab (texts, 'instance')")

    def close(self) -> None:
        self._connection.close()

    def stems(self, words: Sequence[str]) -> dict[str, str]:
        """The words by their stems, each stem once."""
        found: dict[str, str] = {}
        with self._filled(words):
            rows: list[tuple[str, int]] = self._connection.execute("SELECT term, doc FROM uses ORDER BY doc").fetchall()
            for stem, number in rows:
                found.setdefault(stem, words[number])
        return found

    def scores(self, texts: Sequence[str], weights: Mapping[str, float], mean_chars: float) -> list[float]:
        """How well each text matches.

        Args:
            texts: The texts, of each no more than `READ_CHARS`.
            weights: What each stem of the question is worth, its inverse document frequency.
            mean_chars: How long a text is on average.
        """
        scores = [0.0] * len(texts)
        norms = [_K1 * (1 - _B + _B * len(text) / max(mean_chars, 1.0)) for text in texts]
        query = "SELECT doc, count(*) FROM uses WHERE term = ? GROUP BY doc"
        with self._filled([indexed(text) for text in texts]):
            for stem, weight in weights.items():
                for number, uses in self._connection.execute(query, (stem,)):
                    scores[number] += weight * uses * (_K1 + 1) / (uses + norms[number])
        return scores

    @contextmanager
    def _filled(self, texts: Sequence[str]) -> Generator[None, None, None]:
        self._connection.execute("BEGIN")
        try:
            self._connection.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", enumerate(texts))
            yield
        finally:
            self._connection.execute("ROLLBACK")


def weight_of(texts: int, having: float) -> float:
    """What a word is worth that some of the texts have, never less than nothing."""
    return math.log(1 + (max(texts, having) - having + 0.5) / (having + 0.5))
