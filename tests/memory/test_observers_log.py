"""What an observer is shown of what was known before, and what it may say of it."""

from __future__ import annotations

import dspy
import pytest

from rlm_module.memory import Observation, Observer, SqliteStore
from rlm_module.memory.noticing import Noticed, believed
from tests.memory.cast import Cast, chat, noticed
from tests.memory.observers import Turns


def _logs(store: SqliteStore, *found: dict[str, str]) -> list[Turns]:
    """The logs with which Eve's sessions are read, of each of which something is found."""
    logs: list[Turns] = []

    def observer(turns: Turns, log: Turns) -> str:
        logs.append(log)
        role = turns[0]["role"]
        said = {"kind": "fact" if role == "user" else "assistant_output", "subject": "home", "value": turns[0]["text"]}
        more = next((one for one in found if one["of"] in turns[0]["text"]), {})
        old = next((entry["id"] for entry in log if entry["value"] == more.get("supersedes")), None)
        return noticed({**said, "turns": [turns[0]["id"]], "supersedes": old})

    with dspy.context(lm=Cast(observer=observer).lm):
        Observer(concurrency=1).observe(store.user("eve"))
    return logs


def _values(log: Turns) -> list[str]:
    return [entry["value"] for entry in log]


def test_it_shows_what_was_stated_before_and_not_what_came_later(store: SqliteStore) -> None:
    eve = store.user("eve")
    eve.ingest([chat("late", "2024-06-01", ("user", "late home")), chat("early", "2024-01-01", ("user", "early home"))])
    assert _logs(store) == [[], []]
    eve.ingest([chat("last", "2024-07-01", ("user", "last home"))])
    assert sorted(_values(_logs(store)[0])) == ["early home", "late home"]


def test_it_leaves_out_what_no_longer_holds(store: SqliteStore) -> None:
    eve = store.user("eve")
    eve.ingest([chat("a", "2024-01-01", ("user", "first home")), chat("b", "2024-02-01", ("user", "second home"))])
    change = {"of": "second", "supersedes": "first home"}
    assert [_values(log) for log in _logs(store, change)] == [[], ["first home"]]
    eve.ingest([chat("c", "2024-03-01", ("user", "third home"))])
    assert [_values(log) for log in _logs(store)] == [["second home"]]


def test_it_tells_of_the_user_only(store: SqliteStore) -> None:
    eve = store.user("eve")
    days = ("2024-01-01", "2024-02-01", "2024-03-01")
    eve.ingest([chat(day, day, ("assistant", "advice on a home")) for day in days[:2]])
    assert _logs(store) == [[], []]
    eve.ingest([chat(days[2], days[2], ("assistant", "advice on a home"))])
    assert _logs(store) == [[]]


def test_it_is_short_and_shows_what_is_nearest(store: SqliteStore) -> None:
    eve = store.user("eve")
    others = [chat(f"o{n}", "2024-01-01", ("user", f"number {n} of the others")) for n in range(60)]
    eve.ingest([*others, chat("near", "2024-01-01", ("user", f"violet umbrella {'x' * 500}"))])
    _logs(store)
    eve.ingest([chat("ask", "2024-02-01", ("user", "Where is my violet umbrella?"))])
    (log,) = _logs(store)
    assert len(log) == 40
    assert log[-1]["value"] == f"violet umbrella {'x' * 500}"[:200]


def test_of_a_session_without_any_turn_left_nothing_is_asked(store: SqliteStore) -> None:
    eve = store.user("eve")
    eve.ingest([chat("gone", "2024-01-01", ("user", "forgotten")), chat("kept", "2024-01-02", ("user", "home"))])
    eve.forget_turn(f"{eve.session_id('gone')}.0")
    assert len(_logs(store)) == 1
    assert Observer().estimate(eve).sessions == 0


def test_other_demonstrations_make_another_observer() -> None:
    one, other = Observer(), Observer()
    assert one.name == other.name
    other.observe_session.demos = [dspy.Example(session="s", log="", observations=[])]
    assert one.name != other.name


@pytest.mark.parametrize(
    ("kind", "day", "is_replaced"),
    [("fact", "2024-01-01", True), ("fact", "2024-05-01", False), ("assistant_output", "2024-01-01", False)],
)
def test_only_an_earlier_entry_is_replaced_and_only_by_what_the_user_says(
    kind: str, day: str, is_replaced: bool
) -> None:
    role = "user" if kind == "fact" else "assistant"
    turns = [
        turn.model_copy(update={"id": f"s.{n}"})
        for n, turn in enumerate(
            (*chat("a", "2024-03-01", (role, "one")).turns, *chat("b", "2024-04-01", (role, "two")).turns)
        )
    ]
    (said,) = chat("c", day, ("user", "before")).turns
    old = Observation(kind="fact", subject="s", value="v", stated_at=said.ts, source_turn_ids=("x.0",), id="o1")
    found = Noticed.model_validate(
        {"kind": kind, "subject": "s", "value": "w", "turns": ["s.0", "s.1"], "supersedes": "o1"}
    )
    ((kept,), missed) = believed([found], turns, {"o1": old})
    assert (kept.supersedes, missed) == ("o1" if is_replaced else None, 0)
    assert kept.stated_at == turns[1].ts  # the latest of its turns
