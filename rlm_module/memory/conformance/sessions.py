"""Checks of sessions and turns: ingesting, listing, searching, and who sees what when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

from rlm_module.errors import InputError
from rlm_module.memory.conformance.claims import equal, fails, paged, require, said
from rlm_module.memory.data import Role
from rlm_module.memory.errors import SessionChangedError, StoreError
from rlm_module.memory.found import IngestReport, Page, SessionLine
from rlm_module.memory.samples import START, id_of, observation, session
from rlm_module.memory.store import MemoryStore, UserMemory

T = TypeVar("T")

_DAY = dt.timedelta(days=1)


def check_what_is_ingested_can_be_read(store: MemoryStore) -> None:
    """Every text, role and time, with the offset it was given with."""
    ann = store.user("ann")
    given = session("a", "one", "two \0 é 日本 \U0001f600", "")
    equal(ann.ingest([given]), IngestReport(added=1, turns=3), "the report")
    found = ann.get_session(id_of(ann, "a"))
    equal([said(turn) for turn in found.turns], [said(turn) for turn in given.turns], "the turns")
    equal(found.started_at.isoformat(), given.started_at.isoformat(), "the time")
    equal([ann.get_turn(turn.id) for turn in found.turns], list(found.turns), "the turns, one by one")


def check_ingesting_again_changes_nothing(store: MemoryStore) -> None:
    """And a session with more turns is appended to."""
    ann = store.user("ann")
    ann.ingest([session("a", "one", "two")])
    first = ann.get_session(id_of(ann, "a"))
    equal(ann.ingest([session("a", "one", "two")]), IngestReport(unchanged=1), "the second report")
    equal(ann.ingest([session("a", "one", "two", "three")]), IngestReport(appended=1, turns=1), "the third report")
    equal(ann.get_session(first.id).turns[:2], first.turns, "the old turns")
    equal(ann.get_session(first.id).turns[2].text, "three", "the new turn")


def check_a_changed_session_is_refused_unless_replaced(store: MemoryStore) -> None:
    """Nothing of what was passed with it is written then."""
    ann = store.user("ann")
    ann.ingest([session("a", "one", "two cats")])
    changed = [session("b", "new"), session("a", "one", "other")]
    fails(lambda: ann.ingest(changed), SessionChangedError, "another text")
    fails(lambda: ann.ingest([session("a", "one")]), SessionChangedError, "fewer turns")
    equal(ann.session_id("b"), None, "a session passed with it")
    equal(ann.ingest(changed, replace=True), IngestReport(added=1, replaced=1, turns=3), "the report")
    equal([turn.text for turn in ann.get_session(id_of(ann, "a")).turns], ["one", "other"], "the turns")
    equal(ann.search("cat"), (), "what a search for the old text finds")


def check_two_sessions_with_one_id_are_refused(store: MemoryStore) -> None:
    """Whichever of them comes first."""
    ann = store.user("ann")
    fails(lambda: ann.ingest([session("a", "one"), session("a", "one")]), InputError, "one id twice")
    equal(ann.list_sessions().items, (), "what is there then")


def check_ids_are_opaque_and_the_same_everywhere(store: MemoryStore) -> None:
    """They tell nothing of the caller's, and depend on nothing else that is in the store."""
    ann = store.user("ann")
    ann.ingest([session("answer_1", "a cat")])
    public = id_of(ann, "answer_1")
    require("answer" not in public, f"{public!r} does not tell the caller's id")
    ann.forget_user()
    ann.ingest([session("other", "a dog"), session("answer_1", "a cat")])
    equal(id_of(ann, "answer_1"), public, "the id of the same session")
    equal(ann.get_session(public).turns[0].id, ann.search("cat")[0].turn.id, "the turn's id, read and found")


def check_users_see_nothing_of_each_other(store: MemoryStore) -> None:
    """Not even by an id that is right."""
    ann, bob = store.user("ann"), store.user("bob")
    ann.ingest([session("a", "violet umbrella")])
    bob.ingest([session("b", "green hat")])
    public = id_of(ann, "a")
    ann.observe(public, [observation(ann, "a")], observer="o", first=0, through=1)
    fails(lambda: bob.get_session(public), InputError, "another user's session")
    fails(lambda: bob.get_turn(f"{public}.0"), InputError, "another user's turn")
    fails(lambda: bob.forget_session(public), InputError, "forgetting another user's session")
    stolen = [observation(ann, "a")]
    fails(
        lambda: bob.observe(id_of(bob, "b"), stolen, observer="o", first=0, through=1), InputError, "another's source"
    )
    equal(bob.search("violet umbrella"), (), "what a search finds")
    equal(bob.observations().items, (), "observations")
    equal([line.opening for line in bob.list_sessions().items], ["green hat"], "the list")
    equal(list(store.users()), ["ann", "bob"], "the users")


def check_a_cursor_of_another_user_shows_nothing_of_them(store: MemoryStore) -> None:
    """Lists stay the user's own, wherever they are to go on; such a cursor may also be refused."""
    ann, bob = store.user("ann"), store.user("bob")
    for name, user in (("ann", ann), ("bob", bob)):
        user.ingest([session(f"{name}{n}", f"{name} {n}") for n in range(3)])
        own = [observation(user, f"{name}{n}", subject=name) for n in range(2)]
        user.observe(id_of(user, f"{name}0"), own, observer="o", first=0, through=1)
    for one, other, name in ((ann, bob, "bob"), (bob, ann, "ann")):
        own = {id_of(other, f"{name}{n}") for n in range(3)}
        cursor = one.pending("p", limit=1).cursor
        pending = _unless_refused(partial(other.pending, "p", cursor=cursor))
        require({item.session_id for item in pending} <= own, "what is pending is the user's own")
        cursor = one.list_sessions(limit=1).cursor
        lines = _unless_refused(partial(other.list_sessions, cursor=cursor))
        require({line.id for line in lines} <= own, "the list is the user's own")
        cursor = one.observations(limit=1).cursor
        found = _unless_refused(partial(other.observations, cursor=cursor))
        require({item.subject for item in found} <= {name}, "the observations are the user's own")


def check_search_ranks_by_words(store: MemoryStore) -> None:
    """The turn with most of the rarer words first; nothing in a question is an operator."""
    ann = store.user("ann")
    texts = ["the cat sat", "my cat likes tuna", "tuna fishing", "a dog barked"]
    ann.ingest([session("a", *texts)])
    equal(next(hit.turn.text for hit in ann.search("what tuna does the cat like?")), texts[1], "the first hit")
    equal(len(ann.search("cat tuna", 2)), 2, "how many of three that match")
    equal({hit.turn.role for hit in ann.search("cat tuna", role="user")}, {"user"}, "the roles")
    for hostile in ('"', "cat AND", "NEAR(cat tuna)", "text: cat*", "(", "", "the", "\0", "- cat OR NOT"):
        ann.search(hostile)
    fails(lambda: ann.search("cat", 0), InputError, "k = 0")
    fails(lambda: ann.search("cat", role=cast("Role", "wizard")), InputError, "a role that is none")


def check_nothing_later_is_visible(store: MemoryStore) -> None:
    """Neither where a time is asked for, nor on a handle that is bound to one, whatever it is asked for."""
    ann = store.user("ann")
    spread = session("b", "second cat", "third cat", start=START + _DAY, step=_DAY)
    ann.ingest([session("a", "first cat"), spread])
    first, second = id_of(ann, "a"), id_of(ann, "b")
    ann.observe(first, [observation(ann, "a")], observer="o", first=0, through=1)
    ann.observe(second, [observation(ann, "b", 1, stated_at=START)], observer="o", first=0, through=2)
    for at, ids, texts in (
        (START - _DAY, [], set[str]()),
        (START, [first], {"first cat"}),
        (START + _DAY, [first, second], {"first cat", "second cat"}),
        (START + 2 * _DAY, [first, second], {"first cat", "second cat", "third cat"}),
    ):
        bound = store.user("ann", as_of=at)
        for asked in (at, None, START + 9 * _DAY):
            user = ann if asked == at else bound
            lines = user.list_sessions(as_of=asked).items
            equal([line.id for line in lines], ids, f"the list at {at}")
            equal(sum(line.turns for line in lines), len(texts), f"the count of turns at {at}")
            equal({hit.turn.text for hit in user.search("cat", as_of=asked)}, texts, f"the hits at {at}")
            known = [item.source_turn_ids for item in user.observations(as_of=asked).items]
            equal(len(known), (at >= START) + (at >= START + 2 * _DAY), f"the observations at {at}")
        equal(bound.session_id("b") is not None, at >= START + _DAY, "whether an id is known")
    early = store.user("ann", as_of=START)
    fails(lambda: early.get_session(second, as_of=START + 9 * _DAY), InputError, "a later session")
    fails(lambda: early.get_turn(f"{second}.1"), InputError, "a later turn")
    fails(lambda: early.ingest([]), InputError, "writing with a bound handle")
    fails(lambda: early.forget_user(), InputError, "forgetting with a bound handle")


def check_a_session_without_known_turns_is_not_listed(store: MemoryStore) -> None:
    """Whatever is listed can be read; what is not is not counted by pages."""
    ann = store.user("ann")
    late = session("late", "said later").model_copy(update={"started_at": START - _DAY})
    ann.ingest([session("a", "one"), session("gone", "two"), late, session("c", "three", start=START + _DAY)])
    ann.forget_turn(f"{id_of(ann, 'gone')}.0")
    for at, names in ((START - _DAY, []), (START, ["late", "a"]), (None, ["late", "a", "c"])):
        user = store.user("ann", as_of=at)
        found = [line.id for line in paged(partial(_lines, user))]
        equal(found, [id_of(ann, name) for name in names], f"the list at {at}")
        equal([user.get_session(name).id for name in found], found, f"what can be read at {at}")


def check_lists_come_in_pages(store: MemoryStore) -> None:
    """In the order of time, each item once, also where times are equal."""
    ann = store.user("ann")
    days = [4, 1, 1, 3, 1, 2, 0]
    ann.ingest([session(str(n), f"text {n}", start=START + day * _DAY) for n, day in enumerate(days)])
    found = [*paged(lambda cursor: ann.list_sessions(limit=2, cursor=cursor))]
    equal([line.started_at for line in found], [START + day * _DAY for day in sorted(days)], "the times")
    equal(len({line.id for line in found}), len(days), "how many there are")
    some = ann.list_sessions(after=START + _DAY, before=START + 3 * _DAY).items
    equal([line.started_at for line in some], [START + day * _DAY for day in (1, 1, 1, 2)], "from after to before")
    equal(store.user("nobody").list_sessions().items, (), "the sessions of a user without any")
    fails(lambda: ann.list_sessions(cursor="no cursor"), InputError, "a cursor that is none")
    fails(lambda: ann.list_sessions(limit=0), InputError, "a limit of 0")
    fails(lambda: ann.list_sessions(as_of=START.replace(tzinfo=None)), InputError, "a time without a zone")


def check_a_closed_store_says_so(store: MemoryStore) -> None:
    """And can be closed again."""
    ann = store.user("ann")
    store.close()
    fails(ann.list_sessions, StoreError, "reading")
    fails(lambda: ann.ingest([session("a", "one")]), StoreError, "writing")
    store.close()


def _lines(user: UserMemory, cursor: str | None) -> Page[SessionLine]:
    return user.list_sessions(limit=1, cursor=cursor)


def _unless_refused(ask: Callable[[], Page[T]]) -> tuple[T, ...]:
    try:
        return ask().items
    except InputError:
        return ()
