"""Observers that say the same of each session, and what is kept of it."""

from __future__ import annotations

from typing import Any, TypeAlias

import dspy

from rlm_module.memory import Observation, Observer, ObserverReport, SqliteStore
from tests.memory.cast import Cast, noticed

Turns: TypeAlias = "list[dict[str, Any]]"


def observe(store: SqliteStore, cast: Cast, **options: Any) -> ObserverReport:
    with dspy.context(lm=cast.lm):
        return Observer(**options).observe(store.user("ann"))


def kept(store: SqliteStore) -> list[Observation]:
    return list(store.user("ann").observations().items)


def each(found: dict[str, Any]) -> Any:
    """An observer that says the same of the first turn of each session."""
    return lambda turns, log: noticed({"turns": [turns[0]["id"]], **found})


LIFE = {"kind": "fact", "subject": "life", "value": "Something is so."}
