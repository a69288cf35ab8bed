"""The memory store: how fast it takes in, finds and lists, and how much room it needs."""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chats import TURNS_A_SESSION, Chats, Planted
from benchmarks.figures import Aim, Figure
from benchmarks.measure import Say
from rlm_module.memory import IngestReport, Observation, SqliteStore, UserMemory, read_session

MANY, ONE = "many", "one"
_BATCH = 1_000 // TURNS_A_SESSION
_OBSERVED_SESSIONS = 2_000
_OBSERVATIONS_A_SESSION = 10
_PAGES = 300
_RECALL_AT = 10
_CHILD = Path(__file__).with_name("store_child.py")

INGEST = Aim("ingest", "turns of 400 characters taken in, validated", "turns/s", least=20_000)
INGEST_LARGE = Aim("ingest-large", "the same up to the whole size", "turns/s")
SEARCH = {
    MANY: Aim("search-many", "search, many users, p95", "ms", most=30),
    ONE: Aim("search-one", "search, one user with all turns, p95", "ms", most=50),
}
RECALL = {
    MANY: Aim("recall-many", "recall@10 beside that of bm25 without a cap, many users", "×", least=0.95),
    ONE: Aim("recall-one", "the same, one user", "×", least=0.95),
}
SIZE = {
    MANY: Aim("size-many", "size on disk beside the text, users taken in by turns", "×", most=2.0),
    ONE: Aim("size-one", "the same, one user", "×", most=2.0),
}
SESSIONS = Aim("sessions", "a page of list_sessions, p95", "ms", most=10)
OBSERVATIONS = Aim("observations", "a page of observations, p95", "ms", most=10)
MEMORY = Aim("memory", "resident memory of a reader beside that of one of a small store", "×", most=1.3)
LOCKS = Aim("locks", "errors of 8 readers and a writer at once", "errors", most=0)
WRITES = Aim("writes", "sessions written meanwhile", "sessions", least=1)

AIMS = (
    INGEST,
    INGEST_LARGE,
    *SEARCH.values(),
    *RECALL.values(),
    *SIZE.values(),
    SESSIONS,
    OBSERVATIONS,
    MEMORY,
    LOCKS,
    WRITES,
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Args:
        turns: Turns in a store.
        users: Users of the store of many.
        questions: Searches that are timed.
        compared: Searches of which recall is compared, since bm25 without a cap takes seconds.
        seconds: How long readers and a writer are at it.
    """

    turns: int = 1_000_000
    users: int = 100
    questions: int = 300
    compared: int = 40
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Filled:
    """A store with what it took to fill it.

    Args:
        path: Its file.
        planted: Questions about its turns.
        rates: Turns a second, by tenths of the way.
        text_bytes: How long its texts are.
        plain: The file of an index of all words, to compare with.
    """

    path: Path
    planted: list[Planted]
    rates: list[float]
    text_bytes: int
    plain: Path


def figures(scratch: Path, scale: Scale, say: Say) -> Iterator[Figure]:
    """Measures everything, in the order of `AIMS` as far as that goes."""
    for layout, users in ((MANY, scale.users), (ONE, 1)):
        filled = _fill(scratch / layout, scale, users, say)
        if layout == ONE:
            yield Figure(INGEST, filled.rates[0])
            yield Figure(INGEST_LARGE, len(filled.rates) / sum(1 / rate for rate in filled.rates))
        yield Figure(SIZE[layout], filled.path.stat().st_size / filled.text_bytes)
        yield from _searches(filled, layout, scale, say)
        filled.plain.unlink()
        if layout == ONE:
            yield from _pages(filled.path, say)
            yield _memory(filled, scratch / "small", say)
            yield from _together(filled.path, scale.seconds, say)


def _fill(folder: Path, scale: Scale, users: int, say: Say) -> Filled:
    """Fills a store, the users by turns, a thousand turns each; only what the store does is timed."""
    folder.mkdir()
    chats, source = Chats(seed=users), random.Random(users)
    planted: list[Planted] = []
    rates: list[float] = []
    batches = scale.turns // (_BATCH * TURNS_A_SESSION)
    rounds = max(1, batches // users)
    text_bytes, seconds, turns = 0, 0.0, 0
    with SqliteStore(folder / "memory.db") as store:
        plain = _plain_index(folder / "plain.db")
        for number in range(rounds * users):
            user = f"user-{number % users}"
            given = chats.sessions(number // users * _BATCH, _BATCH)
            if source.random() < 1.2 * scale.questions / batches:
                planted.append(chats.plant(user, given))
            started = time.perf_counter()
            report = ingest(store.user(user), given)
            seconds += time.perf_counter() - started
            turns += report.turns
            texts = [turn["text"] for session in given for turn in session["turns"]]
            text_bytes += sum(len(text.encode()) for text in texts)
            first = (number % users * rounds + number // users) * len(texts)
            plain.executemany("INSERT INTO plain (rowid, text) VALUES (?, ?)", enumerate(texts, first))
            if (number + 1) % max(1, rounds * users // 10) == 0:
                rates.append(turns / seconds)
                say(f"{folder.name}: {number + 1:,} of {rounds * users:,} batches, {turns / seconds:,.0f} turns/s")
                seconds, turns = 0.0, 0
        plain.execute("COMMIT")
        plain.close()
    return Filled(folder / "memory.db", planted[: scale.questions], rates, text_bytes, folder / "plain.db")


def ingest(user: UserMemory, given: Sequence[dict[str, Any]]) -> IngestReport:
    """Takes in sessions as JSON has them."""
    return user.ingest([read_session(session) for session in given])


def _plain_index(path: Path) -> sqlite3.Connection:
    """All words of all turns, for FTS5's own bm25; a user's turns are a range."""
    plain = sqlite3.connect(path, isolation_level=None)
    plain.execute("PRAGMA journal_mode = OFF")
    plain.execute("CREATE VIRTUAL TABLE plain USING fts5 (text, content = '', tokenize = 'porter unicode61')")
    plain.execute("BEGIN")
    return plain


def _searches(filled: Filled, layout: str, scale: Scale, say: Say) -> Iterator[Figure]:
    say(f"{layout}: {len(filled.planted)} searches")
    taken: list[float] = []
    found: list[bool] = []
    with SqliteStore(filled.path) as store:
        for planted in filled.planted:
            user = store.user(planted.user)
            started = time.perf_counter()
            hits = user.search(planted.question, _RECALL_AT)
            taken.append(time.perf_counter() - started)
            found.append(f"{user.session_id(planted.session)}.{planted.position}" in {hit.turn.id for hit in hits})
    yield Figure(SEARCH[layout], p95(taken) * 1e3)
    users = scale.users if layout == MANY else 1
    compared = min(scale.compared, len(filled.planted))
    say(f"{layout}: {compared} searches without a cap")
    plain = sqlite3.connect(filled.path.with_name("plain.db"))
    rounds = max(1, scale.turns // (_BATCH * TURNS_A_SESSION) // users)
    theirs = sum(_found_plainly(plain, planted, rounds * _BATCH) for planted in filled.planted[:compared])
    plain.close()
    say(f"{layout}: found {sum(found[:compared])}, uncapped {theirs}, median {statistics.median(taken) * 1e3:.1f} ms")
    yield Figure(RECALL[layout], sum(found[:compared]) / theirs)


def _found_plainly(plain: sqlite3.Connection, planted: Planted, sessions_a_user: int) -> bool:
    first = int(planted.user.removeprefix("user-")) * sessions_a_user * TURNS_A_SESSION
    wanted = first + int(planted.session.removeprefix("session-")) * TURNS_A_SESSION + planted.position
    query = "SELECT rowid FROM plain WHERE plain MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rank LIMIT ?"
    asked = " OR ".join(f'"{word}"' for word in planted.question.split())
    last = first + sessions_a_user * TURNS_A_SESSION - 1
    return (wanted,) in plain.execute(query, (asked, first, last, _RECALL_AT)).fetchall()


def _pages(path: Path, say: Say) -> Iterator[Figure]:
    say("pages")
    with SqliteStore(path) as store:
        user = store.user("user-0")
        subjects = _observe(user)
        times = _times_of_pages(lambda cursor: user.list_sessions(cursor=cursor).cursor)
        yield Figure(SESSIONS, p95(times) * 1e3)
        times = _times_of_pages(lambda cursor: user.observations(cursor=cursor).cursor)
        for subject in subjects:
            started = time.perf_counter()
            user.observations(subject=subject, current=True)
            times.append(time.perf_counter() - started)
        yield Figure(OBSERVATIONS, p95(times) * 1e3)


def _observe(user: UserMemory) -> list[str]:
    """Gives some sessions observations; their subjects."""
    source, cursor, seen = random.Random(3), None, 0
    subjects = [f"subject {number}" for number in range(200)]
    while seen < _OBSERVED_SESSIONS:
        page = user.pending("benchmark", limit=100, cursor=cursor)
        for pending in page.items:
            session = user.get_session(pending.session_id)
            made = [
                Observation(
                    kind="fact",
                    subject=source.choice(subjects),
                    value=turn.text[:100],
                    stated_at=turn.ts,
                    source_turn_ids=(turn.id,),
                )
                for turn in session.turns[:_OBSERVATIONS_A_SESSION]
            ]
            user.observe(session.id, made, observer="benchmark", first=0, through=len(session.turns))
        seen += len(page.items)
        cursor = page.cursor
        if cursor is None:
            break
    return subjects


def _times_of_pages(turn_over: Callable[[str | None], str | None]) -> list[float]:
    taken: list[float] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        started = time.perf_counter()
        cursor = turn_over(cursor)
        taken.append(time.perf_counter() - started)
        if cursor is None:
            break
    return taken


def _memory(filled: Filled, folder: Path, say: Say) -> Figure:
    """What a process needs that searches, lists and writes: in the large store, and in one of a hundredth."""
    say("memory")
    folder.mkdir()
    chats = Chats(seed=5)
    with SqliteStore(folder / "memory.db") as store:
        for first in range(0, 1_000, _BATCH):
            ingest(store.user("user-0"), chats.sessions(first, _BATCH))
    questions = json.dumps([planted.question for planted in filled.planted[:100]])
    sizes = [float(_child("memory", str(path), questions)) for path in (filled.path, folder / "memory.db")]
    say(f"memory: {sizes[0] / 2**20:.0f} MiB, {sizes[1] / 2**20:.0f} MiB")
    return Figure(MEMORY, sizes[0] / sizes[1])


def _child(*arguments: str) -> str:
    command = [sys.executable, str(_CHILD), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _together(path: Path, seconds: float, say: Say) -> Iterator[Figure]:
    """Eight processes read while this one writes, half of them from before the writer began."""
    say("8 readers and a writer")
    command = [sys.executable, str(_CHILD), "read", str(path), str(seconds)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    chats, errors, written = Chats(seed=6), 0, 0
    until = time.monotonic() + seconds
    with SqliteStore(path) as store:
        while time.monotonic() < until:
            given = chats.sessions(6_000_000 + written, 5)
            try:
                written += ingest(store.user("user-0"), given).added
            except Exception as error:
                errors += 1
                say(f"writer: {error}")
    for reader in readers:
        out, _ = reader.communicate()
        told = json.loads(out)
        errors += told["errors"]
        if told["errors"] or not told["reads"]:
            say(f"reader: {told}")
        errors += not told["reads"]
    yield Figure(LOCKS, errors)
    yield Figure(WRITES, written)


def p95(samples: Sequence[float]) -> float:
    """What 95 of 100 samples don't exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def peak_bytes() -> int:
    """The most memory this process ever had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
