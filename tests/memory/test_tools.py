"""What cells can do with a memory, in a real sandbox, and what they cannot."""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import suppress
from typing import Any

import dspy
import pytest

from rlm_module import RLM, InputError
from rlm_module.memory import MemorySystem, Observer, Session, SqliteStore, tools
from rlm_module.memory.inquiry import Inquiry
from tests.memory.cast import ANN, AS_OF, Cast, chat, noticed, turns_of
from tests.scripted import fields

GIVE_UP = "SUBMIT(answer=None, evidence=[])"


def _printed(store: SqliteStore, *cells: str, as_of: dt.datetime = AS_OF, user: str = "ann", **cast: Any) -> list[str]:
    """What cells print in a run for a user."""
    with dspy.context(lm=Cast(*cells, GIVE_UP, **cast).lm):
        prediction = MemorySystem(store, user)(question="What?", as_of=as_of)
    assert prediction.run is not None
    return [step["output"].strip() for step in prediction.run.trajectory][: len(cells)]


def test_sessions_are_listed_in_pages(store: SqliteStore) -> None:
    (text,) = _printed(
        store,
        "page = list_sessions(limit=2)\n"
        "rest = list_sessions(limit=2, cursor=page.cursor)\n"
        "print([s.opening[:9] for s in [*page.sessions, *rest.sessions]], rest.cursor)",
    )
    assert text == "['I bought ', 'I live in', 'We moved '] None"


@pytest.mark.parametrize("after", ["'2024-04-01'", "__import__('datetime').date(2024, 4, 1)", "'2024-04-01T00:00Z'"])
def test_a_time_may_be_text_a_date_or_a_datetime(store: SqliteStore, after: str) -> None:
    assert _printed(store, f"print(len(list_sessions(after={after}, before='2024-06-01').sessions))") == ["1"]


def test_what_is_no_time_is_told_in_a_sentence(store: SqliteStore) -> None:
    (text,) = _printed(store, "list_sessions(after='in spring')")
    assert "'in spring' is no time; write it as 2024-05-31" in text


def test_search_finds_turns_of_a_role(store: SqliteStore) -> None:
    (text,) = _printed(store, "print([(h.text, h.role) for h in search('Bergen', role='assistant')])")
    assert text == "[('Bergen is rainy.', 'assistant')]"


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("search('Bergen', role='x')", "The role 'x' is not one of user, assistant, system, tool; take one of these."),
        (
            "observations(kind='x')",
            "The kind 'x' is not one of fact, preference, event, plan, update, assistant_output; take one of these.",
        ),
        ("date_diff('2024-01-31', '9999-12-31T23:00-05:00')", "lies beyond the year 9999 in the zone of the other"),
    ],
)
def test_what_is_none_of_the_names_is_told_in_a_sentence(store: SqliteStore, cell: str, told: str) -> None:
    with dspy.context(lm=Cast(cell, GIVE_UP).lm):
        found = MemorySystem(store, "ann", observer=Observer())(question="What?", as_of=AS_OF)
    assert found.run is not None
    assert told in found.run.trajectory[0]["output"].strip().splitlines()[-1]


def test_a_session_holds_all_and_prints_little(store: SqliteStore) -> None:
    store.user("ann").ingest([chat("long", "2024-05-01", *[("user", f"{n} zebra {'x' * 5_000}") for n in range(40)])])
    shown, whole = _printed(
        store,
        "s = get_session(search('zebra', k=1)[0].session_id)\nprint(s)",
        "print(sum(len(t.text) for t in s.turns))",
    )
    assert len(shown) <= 2_001
    assert int(whole) > 200_000


def test_nothing_later_than_the_question_is_visible(store: SqliteStore) -> None:
    late = turns_of(store, "ann")["We moved to Bergen last week."].id.rpartition(".")[0]
    texts = _printed(
        store,
        "print(len(list_sessions().sessions), search('Bergen moved'))",
        f"get_session({late!r})",
        f"ask_session({late!r}, 'Where?')",
        f"map_sessions([{late!r}], 'Where?')",
        as_of=dt.datetime(2024, 5, 1, tzinfo=dt.UTC),
    )
    assert texts[0] == "2 []"
    assert all("InputError" in text and "Bergen" not in text for text in texts[1:])


HOSTILE = (
    "get_session({bob!r})",
    "ask_session({bob!r}, 'What is the code?')",
    "map_sessions([{bob!r}], 'What is the code?')",
    "search('lock code', user='bob')",
    "list_sessions(user='bob')",
    "list_sessions(as_of='2099-01-01')",
    "observations(user='bob')",
    "print(search.__self__)",
    "print(search.__globals__['current_inquiry']())",
    "print(search.__wrapped__)",
    "import rlm_module.memory",
    "print(open('memory.db').read())",
    "search('lock', k=5, memory='bob')",
    "get_session('../bob')",
    "get_session({bob!r} + '\\x00')",
    "import sqlite3; print(sqlite3.connect('memory.db').execute('select * from users').fetchall())",
)


@pytest.mark.parametrize("cell", HOSTILE)
def test_generated_code_reaches_no_other_user(store: SqliteStore, cell: str) -> None:
    bob = store.user("bob").list_sessions().items[0].id
    cell = cell.format(bob=bob)
    attempt, calm = _printed(store, cell, "print([h.text for h in search('lock code bicycle 4711')])")
    assert "4711" not in attempt
    assert "Traceback" in attempt or "Error" in attempt
    assert calm == "['I bought a red Cube bicycle yesterday.']"


def test_two_users_at_once_see_their_own(store: SqliteStore) -> None:
    program = MemorySystem(store)
    cells = "hits = search('bicycle')\nprint([h.text for h in hits])"

    def ask(user: str) -> str:
        with dspy.context(lm=Cast(cells, GIVE_UP).lm):
            return program(question="What?", as_of=AS_OF, user=user).run.trajectory[0]["output"]

    found = dspy.Parallel(num_threads=2, disable_progress_bar=True)([(ask, (name,)) for name in ("ann", "bob") * 2])
    assert ["4711" in text for text in found] == [False, True, False, True]
    assert ["Cube" in text for text in found] == [True, False, True, False]


def test_dates_are_reckoned_on_the_host(store: SqliteStore) -> None:
    (text,) = _printed(
        store, "print(date_diff('2024-03-01', '2024-04-10'), date_diff('2024-04-10', '2024-03-27', 'weeks'))"
    )
    assert text == "40.0 -2.0"


def test_delegated_sessions_are_read_and_charged_to_the_run(store: SqliteStore) -> None:
    def read(turns: list[dict[str, Any]], question: str) -> str:
        assert question == "Which town?"
        town = next((name for name in ("Oslo", "Bergen") if name in turns[0]["text"]), None)
        return fields(answer=town or "None", turns=f'["{turns[0]["id"]}", "made-up.3"]' if town else "[]")

    cast = Cast(
        "ids = [s.id for s in list_sessions().sessions]\n"
        "found = map_sessions(ids, 'Which town?')\n"
        "print([(r.answer, len(r.turns)) for r in found], ask_session(ids[1], 'Which town?').answer)",
        GIVE_UP,
        reader=read,
    )
    with dspy.context(lm=cast.lm):
        prediction = MemorySystem(store, "ann")(question="What?", as_of=AS_OF)
    assert prediction.run.trajectory[0]["output"].strip() == "[(None, 0), ('Oslo', 1), ('Bergen', 1)] Oslo"
    assert prediction.run.usage.by_role["tool"].calls == 4
    assert prediction.usage.total.calls == 6


def test_a_reading_may_be_the_word_none(store: SqliteStore) -> None:
    def read(turns: list[dict[str, Any]], question: str) -> str:
        return fields(answer="None", turns=f'["{turns[0]["id"]}"]' if "Oslo" in turns[0]["text"] else '["made-up.0"]')

    cell = "print([r.answer for r in map_sessions([s.id for s in list_sessions().sessions], 'Which allergies?')])"
    assert _printed(store, cell, reader=read) == ["[None, 'None', None]"]


@pytest.mark.parametrize(
    "call", ["map_sessions(ids, 'Which town?')", "[ask_session(name, 'Which town?') for name in ids]"]
)
def test_sessions_are_read_side_by_side(store: SqliteStore, call: str) -> None:
    together = threading.Barrier(3)  # whoever reads alone breaks it

    def read(turns: list[dict[str, Any]], question: str) -> str:
        together.wait(20)
        return fields(answer=turns[0]["text"][:2], turns="[]")

    (text,) = _printed(
        store, f"ids = [s.id for s in list_sessions().sessions]\nprint([r.answer for r in {call}])", reader=read
    )
    assert text == "['I', 'I', 'We']"


def test_a_memory_serves_as_a_tool_of_another_run(store: SqliteStore) -> None:
    memory = MemorySystem(store, "ann")

    def recall(question: str) -> str:
        return str(memory(question=question, as_of=AS_OF).answer)

    cell = "hit = search('bicycle', k=1)[0]\nSUBMIT(answer='A red Cube', evidence=[hit.id])"
    cast = Cast("SUBMIT(answer=recall('Which bicycle?'))", cell)
    with dspy.context(lm=cast.lm):
        prediction: Any = RLM("q -> answer", tools=[recall])(q="text")
    assert prediction.answer == "A red Cube"
    assert prediction.usage.total.calls == len(cast.asked) == 3


def test_a_failed_reading_stands_in_its_place(store: SqliteStore) -> None:
    def read(turns: list[dict[str, Any]], question: str) -> Any:
        return dspy.LMServerError("down") if "Oslo" in turns[0]["text"] else fields(answer="None", turns="[]")

    (text,) = _printed(
        store, "print([bool(r) for r in map_sessions([s.id for s in list_sessions().sessions], 'x')])", reader=read
    )
    assert text == "[True, False, True]"


def test_readings_count_as_sub_calls(store: SqliteStore) -> None:
    cast = Cast(
        "found = map_sessions([s.id for s in list_sessions().sessions], 'Which town?')\n"
        "print(sorted(r.kind if not r else 'read' for r in found))",
        GIVE_UP,
        reader=lambda turns, question: fields(answer="None", turns="[]"),
    )
    with dspy.context(lm=cast.lm):
        prediction = MemorySystem(store, "ann", max_llm_calls=2)(question="What?", as_of=AS_OF)
    assert prediction.run.trajectory[0]["output"].strip() == "['budget', 'read', 'read']"
    assert len(cast.prompts("reader")) == 2


def test_without_delegation_there_are_no_sub_models(store: SqliteStore) -> None:
    with dspy.context(
        lm=Cast("print([n for n in ('ask_session', 'llm_query', 'observations') if n in globals()])", GIVE_UP).lm
    ):
        prediction = MemorySystem(store, "ann", delegates=False)(question="What?", as_of=AS_OF)
    assert prediction.run.trajectory[0]["output"].strip() == "[]"


def test_outside_of_a_question_tools_say_where_they_belong() -> None:
    with pytest.raises(
        InputError, match=r"^Tools of a memory work within a call of MemorySystem only; ask through that\.$"
    ):
        tools.search("bicycle")


def test_no_session_is_lost_on_the_way(store: SqliteStore) -> None:
    assert set(turns_of(store, "ann")) == {turn.text for session in ANN for turn in session.turns}


def test_observations_come_by_kind_and_in_pages(store: SqliteStore) -> None:
    def observer(turns: list[dict[str, Any]], log: list[dict[str, Any]]) -> str:
        told = {"subject": "s", "value": turns[0]["text"], "turns": [turns[0]["id"]]}
        return noticed({**told, "kind": "fact"}, {**told, "kind": "event"})

    cells = (
        "print([(o.kind, o.value[:7]) for o in observations(kind='event').observations])",
        "page = observations(kind='fact', limit=2)\n"
        "rest = observations(kind='fact', limit=2, cursor=page.cursor)\n"
        "print([[o.value[:7] for o in p.observations] for p in (page, rest)], rest.cursor)",
    )
    with dspy.context(lm=Cast(*cells, GIVE_UP, observer=observer).lm):
        memory: Any = MemorySystem(store, "ann", observer=Observer())
        memory.ingest([])
        by_kind, paged = (step["output"].strip() for step in memory(question="?", as_of=AS_OF).run.trajectory[:2])
    assert by_kind == "[('event', 'I bough'), ('event', 'I live '), ('event', 'We move')]"
    assert paged == "[['I bough', 'I live '], ['We move']] None"


def test_times_without_a_zone_are_read_in_the_systems(store: SqliteStore) -> None:
    def count(zone: dt.tzinfo) -> str:
        cell = "print(len(list_sessions(before='2024-06-20T11:00').sessions))"  # one began at 10:00 in UTC
        with dspy.context(lm=Cast(cell, GIVE_UP).lm):
            memory: Any = MemorySystem(store, "ann", zone=zone)
            return memory(question="?", as_of=AS_OF).run.trajectory[0]["output"].strip()

    assert [count(dt.timezone(dt.timedelta(hours=hours))) for hours in (0, 2)] == ["3", "2"]


@pytest.mark.parametrize(
    "call",
    [
        "map_sessions(ids, '?')",
        "[ask_session(name, '?') for name in ids]",
        "sum(await asyncio.gather(map_sessions.aio(ids[:2], '?'), map_sessions.aio(ids[2:], '?')), [])",
    ],
)
def test_no_more_sessions_are_read_at_once_than_the_system_allows(store: SqliteStore, call: str) -> None:
    store.user("ann").ingest([chat("fourth", "2024-06-25", ("user", "I swim."))])
    three, met = threading.Barrier(3), list[int]()

    def read(turns: list[dict[str, Any]], question: str) -> str:
        with suppress(threading.BrokenBarrierError):
            met.append(three.wait(0.3))
        return fields(answer="None", turns="[]")

    cell = f"import asyncio\nids = [s.id for s in list_sessions().sessions]\nprint([bool(r) for r in {call}])"
    with dspy.context(lm=Cast(cell, GIVE_UP, reader=read).lm):
        prediction: Any = MemorySystem(store, "ann", concurrency=2)(question="?", as_of=AS_OF)
    assert prediction.run.trajectory[0]["output"].strip() == "[True, True, True, True]"
    assert met == []


def test_where_nobody_reads_sessions_delegating_is_refused_in_a_sentence(store: SqliteStore) -> None:
    memory = store.user("ann", as_of=AS_OF)
    with (
        Inquiry(memory=memory, as_of=AS_OF).open(),
        pytest.raises(InputError, match=r"^This memory does not delegate; read the session with get_session\.$"),
    ):
        tools.ask_session(memory.list_sessions().items[0].id, "What?")


def test_a_turn_counts_as_read_only_where_an_observation_shows_all_of_it(store: SqliteStore) -> None:
    def padded(name: str, length: int) -> Session:
        text = f"My {name} has a number."
        return chat(name, "2024-05-01", ("user", text + "x" * (length - len(text))))

    cell = (
        "one = next(one for one in observations().observations if {word!r} in one.said[0])\n"
        "SUBMIT(answer='X77', evidence=[one.source_turn_ids[0]])"
    )
    read = "get_session(one.source_turn_ids[0].rpartition('.')[0])\n"
    cast = Cast(
        cell.format(word="passport"),
        f"{read}SUBMIT(answer='X77', evidence=[one.source_turn_ids[0]])",
        cell.format(word="licence"),
        observer=lambda turns, log: noticed({"kind": "fact", "subject": "s", "value": "v", "turns": [turns[0]["id"]]}),
    )
    with dspy.context(lm=cast.lm):
        memory: Any = MemorySystem(store, "ann", observer=Observer())
        memory.ingest([padded("passport", 4_001), padded("licence", 4_000)])
        cut, whole = (memory(question="Which number?", as_of=AS_OF) for _ in range(2))
    assert "was read in this run" in cut.run.trajectory[0]["output"]
    assert [len(one.run.trajectory) for one in (cut, whole)] == [2, 1]
    assert cut.answer == whole.answer == "X77"
