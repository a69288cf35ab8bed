"""What an observer made of later turns is not known before them, whatever it cites."""

from __future__ import annotations

import datetime as dt

import dspy

from rlm_module.memory import Observer, SqliteStore, read_session
from tests.memory.cast import Cast, chat, noticed

_EARLY = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)


def _values(store: SqliteStore, as_of: dt.datetime | None) -> list[str]:
    return [one.value for one in store.user("eve", as_of=as_of).observations().items]


def test_an_observation_that_cites_an_early_turn_is_not_known_before_the_late_one(store: SqliteStore) -> None:
    turns = [
        {"role": "user", "text": "I may move."},
        {"role": "user", "text": "I moved to Bergen!", "ts": "2024-03-01T00:00:00Z"},
    ]
    store.user("eve").ingest([read_session({"id": "x", "started_at": "2024-01-01T00:00:00Z", "turns": turns})])
    said = {"kind": "fact", "subject": "home", "value": "Moved to Bergen"}
    cast = Cast(observer=lambda shown, log: noticed({**said, "turns": [shown[0]["id"]]}))
    with dspy.context(lm=cast.lm):
        Observer().observe(store.user("eve"))
    assert _values(store, _EARLY) == []
    assert _values(store, None) == ["Moved to Bergen"]


def test_what_was_copied_from_the_log_is_not_known_before_the_entry(store: SqliteStore) -> None:
    late = {"role": "user", "text": "I moved to Bergen!", "ts": "2024-03-01T00:00:00Z"}
    turns = [{"role": "user", "text": "I may move."}, late]
    store.user("eve").ingest(
        [
            read_session({"id": "x", "started_at": "2024-01-01T00:00:00Z", "turns": turns}),
            chat("y", "2024-01-20", ("user", "I move house.")),
        ]
    )

    def observer(shown: list[dict[str, str]], log: list[dict[str, str]]) -> str:
        value = f"Copied: {log[0]['value']}" if log else shown[-1]["text"]
        return noticed({"kind": "fact", "subject": "move", "value": value, "turns": [shown[0]["id"]]})

    with dspy.context(lm=Cast(observer=observer).lm):
        Observer(concurrency=1).observe(store.user("eve"))
    assert _values(store, None) == ["I moved to Bergen!", "Copied: I moved to Bergen!"]
    assert _values(store, _EARLY) == []
