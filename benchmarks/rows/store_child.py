"""What is measured of a store in a process of its own: its memory, and reading while another writes."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, Python looks beside the script only

from benchmarks.chats import Chats
from benchmarks.rows.store import ingest, peak_bytes
from rlm_module.memory import SqliteStore


def memory(path: str, questions: list[str]) -> None:
    """Searches, lists, reads and writes; prints the most memory that took."""
    chats = Chats(seed=7)
    with SqliteStore(path) as store:
        user = store.user("user-0")
        for question in questions:
            user.search(question)
        for line in user.list_sessions().items:
            user.get_session(line.id)
        for first in range(5_000_000, 5_001_000, 100):
            ingest(user, chats.sessions(first, 100))
    print(peak_bytes())


def read(path: str, seconds: float) -> None:
    """Reads for some time; prints how often, and how often that failed."""
    source, words = random.Random(), Chats(seed=8).words
    reads, errors = 0, dict[str, int]()
    until = time.monotonic() + seconds
    with SqliteStore(path) as store:
        user = store.user("user-0")
        while time.monotonic() < until:
            try:
                user.search(" ".join(source.choices(words[100:5_000], k=4)))
                user.list_sessions(limit=20)
            except Exception as error:
                errors[str(error)] = errors.get(str(error), 0) + 1
            reads += 1
    print(json.dumps({"reads": reads, "errors": sum(errors.values()), "which": errors}))


if __name__ == "__main__":
    if sys.argv[1] == "memory":
        memory(sys.argv[2], json.loads(sys.argv[3]))
    else:
        read(sys.argv[2], float(sys.argv[3]))
