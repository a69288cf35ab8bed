"""Checks of observations, of forgetting, and of exports, which hold both."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import cast

from rlm_module.errors import InputError
from rlm_module.memory.conformance.claims import equal, fails, paged
from rlm_module.memory.data import ObservationKind
from rlm_module.memory.exported import ExportedSession, read_line
from rlm_module.memory.found import Forgotten, IngestReport
from rlm_module.memory.samples import START, id_of, observation, session
from rlm_module.memory.store import MemoryStore, UserMemory

_DAY = dt.timedelta(days=1)
_INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))


def check_observations_supersede_each_other(store: MemoryStore) -> None:
    """Once the later one is known, and no sooner."""
    ann = store.user("ann")
    ann.ingest([session("a", "old"), session("b", "new", start=START + _DAY)])
    (old,) = ann.observe(id_of(ann, "a"), [observation(ann, "a", subject="Job")], observer="o", first=0, through=1)
    later = observation(ann, "b", subject="job", kind="update", supersedes=old, stated_at=START + _DAY)
    (new,) = ann.observe(id_of(ann, "b"), [later], observer="o", first=0, through=1)
    equal([item.id for item in ann.timeline("JOB")], [old, new], "the timeline")
    equal([item.id for item in ann.observations(current=True).items], [new], "what is so now")
    equal([item.id for item in ann.observations(current=True, as_of=START).items], [old], "what was so then")
    equal([item.id for item in ann.observations(kind="update").items], [new], "those of a kind")
    fails(lambda: ann.observations(kind=cast("ObservationKind", "rumour")), InputError, "a kind that is none")
    equal([item.id for item in paged(lambda c: ann.observations(limit=1, cursor=c))], [old, new], "the pages")
    equal(ann.observations(subject="job").items[1].supersedes, old, "what the later one supersedes")
    ann.forget_session(id_of(ann, "b"))
    equal([item.id for item in ann.observations(current=True).items], [old], "what is so once that is forgotten")


def check_an_observer_goes_on_where_it_was(store: MemoryStore) -> None:
    """It is told what is new; another one starts anew, and takes the place of what there was."""
    ann = store.user("ann")
    ann.ingest([session("a", "one", "two"), session("b", "three")])
    public = id_of(ann, "a")
    equal([item.first for item in ann.pending("v1").items], [0, 0], "where it begins")
    equal(len([*paged(lambda c: ann.pending("v1", limit=1, cursor=c))]), 2, "how many pages of one")
    ann.observe(public, [observation(ann, "a")], observer="v1", first=0, through=2)
    equal([item.session_id for item in ann.pending("v1").items], [id_of(ann, "b")], "what is pending")
    ann.ingest([session("a", "one", "two", "more")])
    (again,) = [item for item in ann.pending("v1").items if item.session_id == public]
    equal((again.first, again.turns, again.chars), (2, 1, 4), "what is new of a session that was appended to")
    fails(lambda: ann.observe(public, [], observer="v1", first=1, through=3), InputError, "a wrong place")
    ann.observe(public, [observation(ann, "a", 2)], observer="v1", first=2, through=3)
    equal(len(ann.observations().items), 2, "observations of both parts")
    ann.observe(public, [observation(ann, "a", 1)], observer="v2", first=0, through=3)
    equal(len(ann.observations().items), 1, "observations once another one has read it all")
    missing = observation(ann, "a").model_copy(update={"source_turn_ids": (f"{public}.9",)})
    fails(lambda: ann.observe(public, [missing], observer="v3", first=0, through=3), InputError, "a missing source")
    equal(len(ann.observations().items), 1, "observations after that failed")


def check_an_observation_is_known_when_all_was_that_was_read(store: MemoryStore) -> None:
    """Also of turns that it does not cite, of the log that was shown, and in a memory that it is restored into."""
    ann, bob = store.user("ann"), store.user("bob")
    ann.ingest([session("a", "may move", "moved", "later", step=_DAY), session("b", "same day")])
    public = id_of(ann, "a")
    (one,) = ann.observe(public, [observation(ann, "a", 0)], observer="o", first=0, through=2)
    ann.observe(id_of(ann, "b"), [observation(ann, "b", subject="dog")], observer="o", first=0, through=1, log=[one])
    bob.restore(ann.export())
    for user in (ann, bob):
        equal(user.observations(as_of=START).items, (), "what was known when the first turn was said")
        equal(len(user.observations(as_of=START + _DAY).items), 2, "what was known when the last one read was said")


def check_forgetting_takes_what_was_derived(store: MemoryStore) -> None:
    """A forgotten turn stays forgotten when its session is ingested again; the others keep their ids."""
    ann = store.user("ann")
    ann.ingest([session("a", "one", "two", "three"), session("b", "four")])
    public = id_of(ann, "a")
    made = [observation(ann, "a", 0, 1), observation(ann, "a", 2)]
    _, kept = ann.observe(public, made, observer="o", first=0, through=3)
    equal(ann.forget_turn(f"{public}.1", purge=True), Forgotten(0, 1, 1), "what a turn takes with it")
    equal([item.id for item in ann.observations().items], [kept], "the other observation")
    equal([turn.id for turn in ann.get_session(public).turns], [f"{public}.0", f"{public}.2"], "the other turns")
    equal(ann.search("two"), (), "what a search for it finds")
    equal(ann.ingest([session("a", "one", "two", "three", "five")]).turns, 1, "turns added when ingested again")
    equal([turn.text for turn in ann.get_session(public).turns], ["one", "three", "five"], "the texts then")
    equal(
        ann.ingest([session("a", "ONE", "two", "three", "five")], replace=True).turns, 3, "turns put in others' place"
    )
    equal([turn.text for turn in ann.get_session(public).turns], ["ONE", "three", "five"], "the texts after that")
    equal(ann.search("two"), (), "what a search for it finds after that")
    fails(lambda: ann.get_turn(f"{public}.1"), InputError, "the forgotten turn")
    equal(ann.forget_session(public), Forgotten(1, 3, 0), "what a session takes with it")
    equal(ann.list_sessions().items[0].opening, "four", "the other session")
    equal(ann.forget_user(purge=True), Forgotten(1, 1, 0), "what a user takes along")
    equal(list(store.users()), [], "the users that are left")


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
    equal(ann.forget_session(id_of(ann, "a")), Forgotten(1, 1, 3), "what a session takes with it")
    equal([item.id for item in ann.observations().items], [other], "the observations that are left")
    pending = {item.session_id: item.first for item in ann.pending("o").items}
    equal(pending, {id_of(ann, "b"): 0, id_of(ann, "c"): 0}, "what is to be observed anew")


def check_an_export_can_be_restored(store: MemoryStore) -> None:
    """By another user, with gaps, observations and how far observers were; and exports the same then."""
    ann, bob = store.user("ann"), store.user("bob")
    ann.ingest([session("a", "one", "two", "three"), session("b", "four", start=START - _DAY)])
    public = id_of(ann, "a")
    (old,) = ann.observe(public, [observation(ann, "a", 0)], observer="o", first=0, through=3)
    made = observation(ann, "a", 2, 0, supersedes=old, refers=START.astimezone(_INDIA), ends=START.astimezone(dt.UTC))
    ann.observe(id_of(ann, "b"), [made], observer="o", first=0, through=1)
    ann.forget_turn(f"{public}.1")
    lines = list(ann.export())
    written = [line.model_dump_json() for line in lines]
    (kept,) = [item for item in ann.observations().items if item.supersedes]
    equal(
        kept.model_dump_json(exclude={"id"}), made.model_dump_json(exclude={"id"}), "an observation, offsets included"
    )
    equal(bob.restore(lines), IngestReport(added=2, turns=3), "the report")
    equal([*_comparable(bob)], [*_comparable(ann)], "what the other user exports")
    equal(bob.pending("o").items, (), "what is pending")
    equal(bob.ingest([session("a", "one", "two", "three")]).unchanged, 1, "sessions that are as they were")
    fails(lambda: bob.restore(lines), InputError, "restoring into a memory that is not empty")
    ann.forget_user()
    ann.restore(read_line(line) for line in written)
    equal([line.model_dump_json() for line in ann.export()], written, "what the same user exports")


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
