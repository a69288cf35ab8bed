"""What every `MemoryStore` must do, as checks that any implementation can run.

A check gets an empty store, tries one promise of the protocols, and raises `NotConforming` where it is broken:

    failures = run_checks(MyStore)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

from rlm_module.errors import InputError
from rlm_module.memory.data import Turn
from rlm_module.memory.errors import SessionChangedError, StoreError
from rlm_module.memory.exported import ExportedSession
from rlm_module.memory.found import Forgotten, IngestReport, Page, SessionLine
from rlm_module.memory.samples import START, id_of, observation, session
from rlm_module.memory.store import MemoryStore, UserMemory

MakeStore: TypeAlias = "Callable[[], MemoryStore]"
Check: TypeAlias = "Callable[[MemoryStore], None]"

T = TypeVar("T")

_DAY = dt.timedelta(days=1)


class NotConforming(AssertionError):
    """A promise of the protocols that a store does not keep."""


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


def check_what_is_ingested_can_be_read(store: MemoryStore) -> None:
    """Every text, role and time, with the offset it was given with."""
    ann = store.user("ann")
    given = session("a", "one", "two \0 é 日本 \U0001f600", "")
    _equal(ann.ingest([given]), IngestReport(added=1, turns=3), "the report")
    found = ann.get_session(id_of(ann, "a"))
    _equal([_said(turn) for turn in found.turns], [_said(turn) for turn in given.turns], "the turns")
    _equal(found.started_at.isoformat(), given.started_at.isoformat(), "the time")
    _equal([ann.get_turn(turn.id) for turn in found.turns], list(found.turns), "the turns, one by one")


def check_ingesting_again_changes_nothing(store: MemoryStore) -> None:
    """And a session with more turns is appended to."""
    ann = store.user("ann")
    ann.ingest([session("a", "one", "two")])
    first = ann.get_session(id_of(ann, "a"))
    _equal(ann.ingest([session("a", "one", "two")]), IngestReport(unchanged=1), "the second report")
    _equal(ann.ingest([session("a", "one", "two", "three")]), IngestReport(appended=1, turns=1), "the third report")
    _equal(ann.get_session(first.id).turns[:2], first.turns, "the old turns")
    _equal(ann.get_session(first.id).turns[2].text, "three", "the new turn")


def check_a_changed_session_is_refused_unless_replaced(store: MemoryStore) -> None:
    """Nothing of what was passed with it is written then."""
    ann = store.user("ann")
    ann.ingest([session("a", "one", "two cats")])
    changed = [session("b", "new"), session("a", "one", "other")]
    _fails(lambda: ann.ingest(changed), SessionChangedError, "another text")
    _fails(lambda: ann.ingest([session("a", "one")]), SessionChangedError, "fewer turns")
    _equal(ann.session_id("b"), None, "a session passed with it")
    _equal(ann.ingest(changed, replace=True), IngestReport(added=1, replaced=1, turns=3), "the report")
    _equal([turn.text for turn in ann.get_session(id_of(ann, "a")).turns], ["one", "other"], "the turns")
    _equal(ann.search("cat"), (), "what a search for the old text finds")


def check_two_sessions_with_one_id_are_refused(store: MemoryStore) -> None:
    """Whichever of them comes first."""
    ann = store.user("ann")
    _fails(lambda: ann.ingest([session("a", "one"), session("a", "one")]), InputError, "one id twice")
    _equal(ann.list_sessions().items, (), "what is there then")


def check_ids_are_opaque_and_the_same_everywhere(store: MemoryStore) -> None:
    """They tell nothing of the caller's, and depend on nothing else that is in the store."""
    ann = store.user("ann")
    ann.ingest([session("answer_1", "a cat")])
    public = id_of(ann, "answer_1")
    _require("answer" not in public, f"{public!r} does not tell the caller's id")
    ann.forget_user()
    ann.ingest([session("other", "a dog"), session("answer_1", "a cat")])
    _equal(id_of(ann, "answer_1"), public, "the id of the same session")
    _equal(ann.get_session(public).turns[0].id, ann.search("cat")[0].turn.id, "the turn's id, read and found")


def check_users_see_nothing_of_each_other(store: MemoryStore) -> None:
    """Not even by an id that is right."""
    ann, bob = store.user("ann"), store.user("bob")
    ann.ingest([session("a", "violet umbrella")])
    bob.ingest([session("b", "green hat")])
    public = id_of(ann, "a")
    ann.observe(public, [observation(ann, "a")], observer="o", first=0, through=1)
    _fails(lambda: bob.get_session(public), InputError, "another user's session")
    _fails(lambda: bob.get_turn(f"{public}.0"), InputError, "another user's turn")
    _fails(lambda: bob.forget_session(public), InputError, "forgetting another user's session")
    stolen = [observation(ann, "a")]
    _fails(
        lambda: bob.observe(id_of(bob, "b"), stolen, observer="o", first=0, through=1), InputError, "another's source"
    )
    _equal(bob.search("violet umbrella"), (), "what a search finds")
    _equal(bob.observations().items, (), "observations")
    _equal([line.opening for line in bob.list_sessions().items], ["green hat"], "the list")
    _equal(list(store.users()), ["ann", "bob"], "the users")


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
        _require({item.session_id for item in pending} <= own, "what is pending is the user's own")
        cursor = one.list_sessions(limit=1).cursor
        lines = _unless_refused(partial(other.list_sessions, cursor=cursor))
        _require({line.id for line in lines} <= own, "the list is the user's own")
        cursor = one.observations(limit=1).cursor
        found = _unless_refused(partial(other.observations, cursor=cursor))
        _require({item.subject for item in found} <= {name}, "the observations are the user's own")


def check_search_ranks_by_words(store: MemoryStore) -> None:
    """The turn with most of the rarer words first; nothing in a question is an operator."""
    ann = store.user("ann")
    texts = ["the cat sat", "my cat likes tuna", "tuna fishing", "a dog barked"]
    ann.ingest([session("a", *texts)])
    _equal(next(hit.turn.text for hit in ann.search("what tuna does the cat like?")), texts[1], "the first hit")
    _equal(len(ann.search("cat tuna", 2)), 2, "how many of three that match")
    _equal({hit.turn.role for hit in ann.search("cat tuna", role="user")}, {"user"}, "the roles")
    for hostile in ('"', "cat AND", "NEAR(cat tuna)", "text: cat*", "(", "", "the", "\0", "- cat OR NOT"):
        ann.search(hostile)
    _fails(lambda: ann.search("cat", 0), InputError, "k = 0")


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
            _equal([line.id for line in lines], ids, f"the list at {at}")
            _equal(sum(line.turns for line in lines), len(texts), f"the count of turns at {at}")
            _equal({hit.turn.text for hit in user.search("cat", as_of=asked)}, texts, f"the hits at {at}")
            known = [item.source_turn_ids for item in user.observations(as_of=asked).items]
            _equal(len(known), (at >= START) + (at >= START + 2 * _DAY), f"the observations at {at}")
        _equal(bound.session_id("b") is not None, at >= START + _DAY, "whether an id is known")
    early = store.user("ann", as_of=START)
    _fails(lambda: early.get_session(second, as_of=START + 9 * _DAY), InputError, "a later session")
    _fails(lambda: early.get_turn(f"{second}.1"), InputError, "a later turn")
    _fails(lambda: early.ingest([]), InputError, "writing with a bound handle")
    _fails(lambda: early.forget_user(), InputError, "forgetting with a bound handle")


def check_a_session_without_known_turns_is_not_listed(store: MemoryStore) -> None:
    """Whatever is listed can be read; what is not is not counted by pages."""
    ann = store.user("ann")
    late = session("late", "said later").model_copy(update={"started_at": START - _DAY})
    ann.ingest([session("a", "one"), session("gone", "two"), late, session("c", "three", start=START + _DAY)])
    ann.forget_turn(f"{id_of(ann, 'gone')}.0")
    for at, names in ((START - _DAY, []), (START, ["late", "a"]), (None, ["late", "a", "c"])):
        user = store.user("ann", as_of=at)
        found = [line.id for line in _paged(partial(_lines, user))]
        _equal(found, [id_of(ann, name) for name in names], f"the list at {at}")
        _equal([user.get_session(name).id for name in found], found, f"what can be read at {at}")


def check_an_observation_is_known_when_all_was_that_was_read(store: MemoryStore) -> None:
    """Also of turns that it does not cite, of the log that was shown, and in a memory that it is restored into."""
    ann, bob = store.user("ann"), store.user("bob")
    ann.ingest([session("a", "may move", "moved", "later", step=_DAY), session("b", "same day")])
    public = id_of(ann, "a")
    (one,) = ann.observe(public, [observation(ann, "a", 0)], observer="o", first=0, through=2)
    ann.observe(id_of(ann, "b"), [observation(ann, "b", subject="dog")], observer="o", first=0, through=1, log=[one])
    bob.restore(ann.export())
    for user in (ann, bob):
        _equal(user.observations(as_of=START).items, (), "what was known when the first turn was said")
        _equal(len(user.observations(as_of=START + _DAY).items), 2, "what was known when the last one read was said")


def check_lists_come_in_pages(store: MemoryStore) -> None:
    """In the order of time, each item once, also where times are equal."""
    ann = store.user("ann")
    days = [4, 1, 1, 3, 1, 2, 0]
    ann.ingest([session(str(n), f"text {n}", start=START + day * _DAY) for n, day in enumerate(days)])
    found = [*_paged(lambda cursor: ann.list_sessions(limit=2, cursor=cursor))]
    _equal([line.started_at for line in found], [START + day * _DAY for day in sorted(days)], "the times")
    _equal(len({line.id for line in found}), len(days), "how many there are")
    some = ann.list_sessions(after=START + _DAY, before=START + 3 * _DAY).items
    _equal([line.started_at for line in some], [START + day * _DAY for day in (1, 1, 1, 2)], "from after to before")
    _equal(store.user("nobody").list_sessions().items, (), "the sessions of a user without any")
    _fails(lambda: ann.list_sessions(cursor="no cursor"), InputError, "a cursor that is none")
    _fails(lambda: ann.list_sessions(limit=0), InputError, "a limit of 0")
    _fails(lambda: ann.list_sessions(as_of=START.replace(tzinfo=None)), InputError, "a time without a zone")


def check_observations_supersede_each_other(store: MemoryStore) -> None:
    """Once the later one is known, and no sooner."""
    ann = store.user("ann")
    ann.ingest([session("a", "old"), session("b", "new", start=START + _DAY)])
    (old,) = ann.observe(id_of(ann, "a"), [observation(ann, "a", subject="Job")], observer="o", first=0, through=1)
    later = observation(ann, "b", subject="job", kind="update", supersedes=old, stated_at=START + _DAY)
    (new,) = ann.observe(id_of(ann, "b"), [later], observer="o", first=0, through=1)
    _equal([item.id for item in ann.timeline("JOB")], [old, new], "the timeline")
    _equal([item.id for item in ann.observations(current=True).items], [new], "what is so now")
    _equal([item.id for item in ann.observations(current=True, as_of=START).items], [old], "what was so then")
    _equal([item.id for item in ann.observations(kind="update").items], [new], "those of a kind")
    _equal([item.id for item in _paged(lambda c: ann.observations(limit=1, cursor=c))], [old, new], "the pages")
    _equal(ann.observations(subject="job").items[1].supersedes, old, "what the later one supersedes")
    ann.forget_session(id_of(ann, "b"))
    _equal([item.id for item in ann.observations(current=True).items], [old], "what is so once that is forgotten")


def check_an_observer_goes_on_where_it_was(store: MemoryStore) -> None:
    """It is told what is new; another one starts anew, and takes the place of what there was."""
    ann = store.user("ann")
    ann.ingest([session("a", "one", "two"), session("b", "three")])
    public = id_of(ann, "a")
    _equal([item.first for item in ann.pending("v1").items], [0, 0], "where it begins")
    _equal(len([*_paged(lambda c: ann.pending("v1", limit=1, cursor=c))]), 2, "how many pages of one")
    ann.observe(public, [observation(ann, "a")], observer="v1", first=0, through=2)
    _equal([item.session_id for item in ann.pending("v1").items], [id_of(ann, "b")], "what is pending")
    ann.ingest([session("a", "one", "two", "more")])
    (again,) = [item for item in ann.pending("v1").items if item.session_id == public]
    _equal((again.first, again.turns, again.chars), (2, 1, 4), "what is new of a session that was appended to")
    _fails(lambda: ann.observe(public, [], observer="v1", first=1, through=3), InputError, "a wrong place")
    ann.observe(public, [observation(ann, "a", 2)], observer="v1", first=2, through=3)
    _equal(len(ann.observations().items), 2, "observations of both parts")
    ann.observe(public, [observation(ann, "a", 1)], observer="v2", first=0, through=3)
    _equal(len(ann.observations().items), 1, "observations once another one has read it all")
    missing = observation(ann, "a").model_copy(update={"source_turn_ids": (f"{public}.9",)})
    _fails(lambda: ann.observe(public, [missing], observer="v3", first=0, through=3), InputError, "a missing source")
    _equal(len(ann.observations().items), 1, "observations after that failed")


def check_forgetting_takes_what_was_derived(store: MemoryStore) -> None:
    """A forgotten turn stays forgotten when its session is ingested again; the others keep their ids."""
    ann = store.user("ann")
    ann.ingest([session("a", "one", "two", "three"), session("b", "four")])
    public = id_of(ann, "a")
    made = [observation(ann, "a", 0, 1), observation(ann, "a", 2)]
    _, kept = ann.observe(public, made, observer="o", first=0, through=3)
    _equal(ann.forget_turn(f"{public}.1", purge=True), Forgotten(0, 1, 1), "what a turn takes with it")
    _equal([item.id for item in ann.observations().items], [kept], "the other observation")
    _equal([turn.id for turn in ann.get_session(public).turns], [f"{public}.0", f"{public}.2"], "the other turns")
    _equal(ann.search("two"), (), "what a search for it finds")
    _equal(ann.ingest([session("a", "one", "two", "three", "five")]).turns, 1, "turns added when ingested again")
    _equal([turn.text for turn in ann.get_session(public).turns], ["one", "three", "five"], "the texts then")
    _equal(
        ann.ingest([session("a", "ONE", "two", "three", "five")], replace=True).turns, 3, "turns put in others' place"
    )
    _equal([turn.text for turn in ann.get_session(public).turns], ["ONE", "three", "five"], "the texts after that")
    _equal(ann.search("two"), (), "what a search for it finds after that")
    _fails(lambda: ann.get_turn(f"{public}.1"), InputError, "the forgotten turn")
    _equal(ann.forget_session(public), Forgotten(1, 3, 0), "what a session takes with it")
    _equal(ann.list_sessions().items[0].opening, "four", "the other session")
    _equal(ann.forget_user(purge=True), Forgotten(1, 1, 0), "what a user takes along")
    _equal(list(store.users()), [], "the users that are left")


def check_forgetting_takes_what_superseded_it(store: MemoryStore) -> None:
    """It was made with the old text in view; its session is to be observed anew, and others are not."""
    ann = store.user("ann")
    ann.ingest([session(name, name) for name in ("a", "b", "c", "d")])
    (first,) = ann.observe(id_of(ann, "a"), [observation(ann, "a")], observer="o", first=0, through=1)
    second = observation(ann, "b", supersedes=first)
    (replaced,) = ann.observe(id_of(ann, "b"), [second], observer="o", first=0, through=1)
    third = observation(ann, "c", supersedes=replaced)
    ann.observe(id_of(ann, "c"), [third], observer="o", first=0, through=1)
    (other,) = ann.observe(id_of(ann, "d"), [observation(ann, "d")], observer="o", first=0, through=1)
    _equal(ann.forget_session(id_of(ann, "a")), Forgotten(1, 1, 3), "what a session takes with it")
    _equal([item.id for item in ann.observations().items], [other], "the observations that are left")
    pending = {item.session_id: item.first for item in ann.pending("o").items}
    _equal(pending, {id_of(ann, "b"): 0, id_of(ann, "c"): 0}, "what is to be observed anew")


def check_an_export_can_be_restored(store: MemoryStore) -> None:
    """By another user, with gaps, observations and how far observers were; and exports the same then."""
    ann, bob = store.user("ann"), store.user("bob")
    ann.ingest([session("a", "one", "two", "three"), session("b", "four", start=START - _DAY)])
    public = id_of(ann, "a")
    (old,) = ann.observe(public, [observation(ann, "a", 0)], observer="o", first=0, through=3)
    ann.observe(
        id_of(ann, "b"), [observation(ann, "a", 2, supersedes=old, refers=START)], observer="o", first=0, through=1
    )
    ann.forget_turn(f"{public}.1")
    lines = list(ann.export())
    _equal(bob.restore(lines), IngestReport(added=2, turns=3), "the report")
    _equal([*_comparable(bob)], [*_comparable(ann)], "what the other user exports")
    _equal(bob.pending("o").items, (), "what is pending")
    _equal(bob.ingest([session("a", "one", "two", "three")]).unchanged, 1, "sessions that are as they were")
    _fails(lambda: bob.restore(lines), InputError, "restoring into a memory that is not empty")
    ann.forget_user()
    ann.restore(lines)
    _equal(list(ann.export()), lines, "what the same user exports")


def check_a_closed_store_says_so(store: MemoryStore) -> None:
    """And can be closed again."""
    ann = store.user("ann")
    store.close()
    _fails(ann.list_sessions, StoreError, "reading")
    _fails(lambda: ann.ingest([session("a", "one")]), StoreError, "writing")
    store.close()


CHECKS: tuple[Check, ...] = tuple(check for name, check in list(globals().items()) if name.startswith("check_"))


def _comparable(user: UserMemory) -> Iterator[object]:
    """What a user exports, without the ids that depend on the user."""
    for line in user.export():
        if isinstance(line, ExportedSession):
            yield line.model_copy(update={"public_id": ""})
        else:
            places = tuple(source.partition(".")[2] for source in line.observation.source_turn_ids)
            yield line.observation.model_copy(
                update={"id": "", "supersedes": line.observation.supersedes is not None, "source_turn_ids": places}
            )


def _paged(turn_over: Callable[[str | None], Page[T]]) -> Iterator[T]:
    cursor: str | None = None
    while True:
        page = turn_over(cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def _lines(user: UserMemory, cursor: str | None) -> Page[SessionLine]:
    return user.list_sessions(limit=1, cursor=cursor)


def _unless_refused(ask: Callable[[], Page[T]]) -> tuple[T, ...]:
    try:
        return ask().items
    except InputError:
        return ()


def _said(turn: Turn) -> tuple[object, ...]:
    return (turn.role, turn.text, turn.ts.isoformat())


def _require(holds: bool, promise: str) -> None:
    if not holds:
        raise NotConforming(f"expected that {promise}")


def _equal(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise NotConforming(f"{what}: expected {expected!r}, found {found!r}")


def _fails(action: Callable[[], object], kind: type[Exception], what: str) -> None:
    try:
        action()
    except kind:
        return
    raise NotConforming(f"{what}: expected {kind.__name__}")
