"""What every `MemoryStore` must do, as checks that any implementation can run.

A check gets an empty store, tries one promise of the protocols, and raises `NotConforming` where it is broken:

    failures = run_checks(MyStore)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rlm_module.memory.conformance import learning, sessions
from rlm_module.memory.conformance.claims import NotConforming as NotConforming
from rlm_module.memory.store import MemoryStore

MakeStore: TypeAlias = "Callable[[], MemoryStore]"
Check: TypeAlias = "Callable[[MemoryStore], None]"

CHECKS: tuple[Check, ...] = tuple(
    check for part in (sessions, learning) for name, check in vars(part).items() if name.startswith("check_")
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that did not pass.

    Args:
        check: Its name.
        reason: What the store did instead, as one line.
    """

    check: str
    reason: str


def run_checks(make_store: MakeStore) -> list[Failure]:
    """Runs every check; what they find, in their order.

    Args:
        make_store: Makes an empty store, another one each time; each check closes its own.
    """
    failures: list[Failure] = []
    for check in CHECKS:
        try:
            store = make_store()
            try:
                check(store)
            finally:
                store.close()
        except Exception as error:  # a store may fail in any way, and the next check is worth its run
            lines = str(error).splitlines() or [""]
            failures.append(Failure(check.__name__, f"{type(error).__name__}: {lines[0]}"))
    return failures
