"""Search: candidates by the rarest words of a question, then their BM25.

Common words would make candidates of half the store. So words are taken in the order of how few turns have them, as
long as the turns to be looked at stay within a cap. Of words beyond it, candidates have two or three at once, and are
the newest of those that do. All words count when candidates are ranked.
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rlm_module.errors import InputError
from rlm_module.memory.data import Role
from rlm_module.memory.found import Hit
from rlm_module.memory.sqlite.numbers import session_number, session_of, turns_of_session, turns_of_user
from rlm_module.memory.sqlite.ranking import READ_CHARS, Ranker, weight_of
from rlm_module.memory.sqlite.reading import turn_of
from rlm_module.memory.sqlite.users import EVER, ROLES, TurnRow
from rlm_module.memory.sqlite.words import words

_MAX_K = 1_000
_MAX_WORDS = 32
_MAX_QUERY_CHARS = 10_000
_CAP = 12_000
"""How many postings of single words a search looks at."""

_CAP_TOGETHER = 1_000
"""How many turns it looks at that have several words at once."""

_RANKED = 100
"""How many candidates are ranked by their texts, where few are asked for."""

_PAGES = 40
"""How many times a cap's worth of postings is looked at further, where those within it were not to be found."""

_BATCH = 200
_COMMON_AT_ONCE = 3

_POSTINGS = "SELECT rowid FROM turn_words WHERE turn_words MATCH ? AND rowid BETWEEN ? AND ?"


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of the question: how the index is asked for it, in how many turns it is, and what it is worth."""

    asked: str
    stem: str
    turns: float
    weight: float


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for, and where.

    Args:
        text: The question.
        k: How many turns at most.
        role: Whose turns; None for everybody's.
        known: What was known then.
    """

    text: str
    k: int
    role: Role | None
    known: int

    def __post_init__(self) -> None:
        if not 1 <= self.k <= _MAX_K:
            raise InputError(f"k is {self.k}; ask for 1 to {_MAX_K:,} turns.")
        if self.role is not None and self.role not in ROLES:
            raise InputError(f"The role {self.role!r} is not one of {', '.join(ROLES)}; take one of these.")


def search(connection: sqlite3.Connection, ranker: Ranker, user_no: int, question: Question) -> tuple[Hit, ...]:
    """The best turns of a user, the best first.

    Args:
        connection: Reads, in a transaction.
        ranker: To rank them.
        user_no: Whose.
        question: What is searched for.
    """
    query = "SELECT turns, chars, next_session FROM users WHERE user_no = ?"
    turns, chars, sessions = connection.execute(query, (user_no,)).fetchone()
    stems = ranker.stems(words(question.text[:_MAX_QUERY_CHARS])[:_MAX_WORDS])
    looked_up = [_word(connection, user_no, stem, word, turns, sessions) for stem, word in stems.items()]
    found = sorted((word for word in looked_up if word.turns), key=lambda word: word.turns)
    if not found:
        return ()
    rows = _candidates(connection, user_no, found, question)
    weights = {word.stem: word.weight for word in found}
    scores = ranker.scores([row[4] for row in rows], weights, chars / max(turns, 1))
    best = heapq.nlargest(
        question.k, zip(scores, rows, strict=True), key=lambda pair: (pair[0], pair[1][2], pair[1][0])
    )
    return _hits(connection, best)


def _word(connection: sqlite3.Connection, user_no: int, stem: str, word: str, turns: int, sessions: int) -> _Word:
    """Looks up in how many turns a word is; of a common one, how many are likely by where the cap was reached."""
    first, last = turns_of_user(user_no)
    asked = f'"{word}"'
    query = f"SELECT count(*), max(rowid) FROM ({_POSTINGS} LIMIT {_CAP})"
    counted, reached = connection.execute(query, (asked, first, last)).fetchone()
    if counted < _CAP:
        having = float(counted)
    else:
        seen = session_of(reached) - session_number(user_no, 0) + 1
        having = counted * max(1.0, sessions / seen)
    return _Word(asked, stem, having, weight_of(turns, having))


def _stages(
    connection: sqlite3.Connection, user_no: int, found: Sequence[_Word], known: int
) -> Iterator[dict[int, float]]:
    """Numbers of turns and what their words are worth: by words and by several at once, then by the rarest alone."""
    span, room, taken = turns_of_user(user_no), float(_CAP), 0
    having: dict[int, int] = {}  # of each turn, a bit for each word that it is known to have
    for place, word in enumerate(found):
        if word.turns > room:
            break
        room, taken = room - word.turns, taken + 1
        for number in _postings(connection, word.asked, span, _CAP):
            having[number] = having.get(number, 0) | 1 << place
    if taken < len(found):
        span = _span_known(connection, user_no, known)
        for places in _together(taken, len(found)):
            asked = " AND ".join(found[place].asked for place in places)
            bits = sum(1 << place for place in places)
            for number in _postings(connection, asked, span, _CAP_TOGETHER):
                having[number] = having.get(number, 0) | bits
    worths: dict[int, float] = {}
    for bits in set(having.values()):
        worths[bits] = sum(word.weight for place, word in enumerate(found) if bits >> place & 1)
    yield {number: worths[bits] for number, bits in having.items()}
    if taken < len(found):
        rarest = found[taken]
        postings = _postings(connection, rarest.asked, span, _CAP)
        yield {number: rarest.weight for number in postings if number not in having}


def _together(taken: int, words: int) -> Iterator[tuple[int, ...]]:
    """Which words to ask for at once, by their places: pairs and triples of which a common word is one."""
    common = range(taken, min(words, taken + _COMMON_AT_ONCE))
    yield from itertools.combinations(common, 3)
    yield from itertools.combinations(common, 2)
    yield from itertools.product(range(min(taken, _COMMON_AT_ONCE)), common)


def _candidates(
    connection: sqlite3.Connection, user_no: int, found: Sequence[_Word], question: Question
) -> list[TurnRow]:
    """Turns worth ranking, as many as are enough."""
    wanted = max(_RANKED, 2 * question.k)
    rows: list[TurnRow] = []
    for stage in _stages(connection, user_no, found, question.known):
        for numbers in _best_first(stage):
            rows += _known(connection, numbers, question)
            if len(rows) >= wanted:
                return rows[:wanted]
        if len(rows) >= question.k:
            return rows
    if question.known < EVER or question.role is not None:  # else there are no more
        seen = {row[0] for row in rows}
        for numbers in _further(connection, user_no, found, question.known):
            rows += _known(connection, [number for number in numbers if number not in seen], question)
            seen.update(numbers)
            if len(rows) >= wanted:
                return rows[:wanted]
    return rows


def _further(connection: sqlite3.Connection, user_no: int, found: Sequence[_Word], known: int) -> Iterator[list[int]]:
    """Numbers beyond the caps in sessions that had begun, the rarest words first, as far as a search can afford."""
    query = "SELECT session_no FROM sessions WHERE user_no = ? AND started_at <= ?"
    begun = {number for (number,) in connection.execute(query, (user_no, known))}
    first, last = _span_known(connection, user_no, known)
    pages = _PAGES
    for word in found:
        end = last
        while pages:
            pages -= 1
            postings = _postings(connection, word.asked, (first, end), _CAP)
            numbers = [number for number in postings if session_of(number) in begun]
            yield from (numbers[start : start + _BATCH] for start in range(0, len(numbers), _BATCH))
            if len(postings) < _CAP:
                break
            end = postings[-1] - 1


def _best_first(worth: Mapping[int, float]) -> Iterator[list[int]]:
    """The numbers in batches, those worth most first and the latest of equals; most callers need one batch."""
    pairs = list(zip(worth.values(), worth, strict=True))
    if len(pairs) > _BATCH:
        yield [number for _, number in heapq.nlargest(_BATCH, pairs)]
    ordered = [number for _, number in sorted(pairs, reverse=True)]
    for start in range(_BATCH if len(pairs) > _BATCH else 0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]


def _known(connection: sqlite3.Connection, numbers: Sequence[int], question: Question) -> list[TurnRow]:
    """Of some turns those that may be found, in the same order, with as much of their texts as is ranked."""
    query = f"""
        SELECT turn_no, role, ts, ts_offset, substr(text, 1, {READ_CHARS}) FROM turns
        WHERE turn_no IN ({",".join("?" * len(numbers))}) AND ts <= ?
    """
    wanted = None if question.role is None else ROLES.index(question.role)
    rows = {row[0]: row for row in connection.execute(query, (*numbers, question.known)) if wanted in (None, row[1])}
    if question.known < EVER:
        begun = _begun(connection, {session_of(number) for number in rows}, question.known)
        return [rows[number] for number in numbers if number in rows and session_of(number) in begun]
    return [rows[number] for number in numbers if number in rows]


def _begun(connection: sqlite3.Connection, sessions: Collection[int], known: int) -> set[int]:
    """Which of some sessions had begun."""
    marks = ",".join("?" * len(sessions))
    query = f"SELECT session_no FROM sessions WHERE session_no IN ({marks}) AND started_at <= ?"
    return {number for (number,) in connection.execute(query, (*sessions, known))}


def _postings(connection: sqlite3.Connection, asked: str, span: tuple[int, int], cap: int) -> list[int]:
    """The newest turns of those that match."""
    rows = connection.execute(f"{_POSTINGS} ORDER BY rowid DESC LIMIT {cap}", (asked, *span))
    return [number for (number,) in rows]


def _span_known(connection: sqlite3.Connection, user_no: int, known: int) -> tuple[int, int]:
    """Numbers that turns of sessions can have which had begun."""
    first, last = turns_of_user(user_no)
    if known >= EVER:
        return first, last
    query = "SELECT max(session_no) FROM sessions WHERE user_no = ? AND started_at <= ?"
    (newest,) = connection.execute(query, (user_no, known)).fetchone()
    return first, first if newest is None else turns_of_session(newest)[1]


def _hits(connection: sqlite3.Connection, best: Sequence[tuple[float, TurnRow]]) -> tuple[Hit, ...]:
    ids: dict[int, str] = {}
    hits: list[Hit] = []
    for score, row in best:
        session_no = session_of(row[0])
        if session_no not in ids:
            query = "SELECT public_id FROM sessions WHERE session_no = ?"
            (ids[session_no],) = connection.execute(query, (session_no,)).fetchone()
        (text,) = connection.execute("SELECT text FROM turns WHERE turn_no = ?", row[:1]).fetchone()
        hits.append(Hit(turn_of(ids[session_no], *row[:4], text), ids[session_no], round(score, 6)))
    return tuple(hits)
