"""Events as lines and back: nothing is lost, and nothing that a line may hold reads as something else."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module.errors import InputError
from rlm_module.events import AnyEvent, Diverged, RunFinished, Scored, Usage
from rlm_module.journal.lines import BLOTTED, BrokenLine, TornLine, from_line, to_line
from rlm_module.prompting.shown import without_secrets
from tests.journal.samples import KINDS, acted, fields, finished, instances, lm_called, shape, small_run, started, user

# Fields that a resumed run acts on or compares, and those that are no text of anybody's.
_EXACT = {
    "run_id", "request", "task", "fields", "stored", "settings", "key", "role", "model", "reply", "code", "language",
    "output", "ended", "clock", "function", "answer", "outputs", "reason",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.tag)
@settings(max_examples=50)
@given(data=st.data())
def test_every_event_comes_back_as_it_was(kind: type[Any], data: st.DataObject) -> None:
    event = data.draw(instances(kind))
    back = from_line(to_line(event))
    if getattr(event, "error", None) is not None:
        event = dataclasses.replace(event, error=without_secrets(event.error))
    assert shape(back) == shape(event)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.tag)
@settings(max_examples=50)
@given(data=st.data())
def test_a_line_is_one_line_of_strict_ascii_json(kind: type[Any], data: st.DataObject) -> None:
    line = to_line(data.draw(instances(kind)))
    assert line.endswith(b"\n")
    assert len(line.decode("ascii").splitlines()) == 1

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(line, parse_constant=refuse)
    assert (found["v"], found["tag"]) == (1, kind.tag)


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_bytes_that_are_no_event_are_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises((BrokenLine, TornLine)):
        from_line(data)


_json = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.tag)
@settings(max_examples=50)
@given(data=st.data())
def test_a_line_with_a_wrong_field_is_read_or_refused(kind: type[Any], data: st.DataObject) -> None:
    found = json.loads(to_line(data.draw(instances(kind))))
    name = data.draw(st.sampled_from(sorted(fields(kind))))
    found[name] = data.draw(_json | st.just({"$": "Xnonsense"}) | st.just({"$": "X{}", "b": 1}))
    with contextlib.suppress(BrokenLine):
        assert type(from_line(json.dumps(found).encode())) is kind


def test_every_cut_of_a_line_is_seen() -> None:
    for event in small_run():
        line = to_line(event)
        for length in range(len(line) - 1):
            with pytest.raises(TornLine):
                from_line(line[:length])


def test_fields_that_are_not_known_are_ignored_and_those_with_a_default_may_lack() -> None:
    found = json.loads(to_line(started()))
    found |= {"colour": "red", "depths": [1]}
    del found["settings"], found["depth"]
    assert from_line(json.dumps(found).encode()) == started()
    old = json.loads(to_line(finished()))
    del old["met_shared_limit"]
    assert from_line(json.dumps(old).encode()) == finished()


def test_a_field_without_a_default_must_be_there() -> None:
    found = json.loads(to_line(started()))
    del found["task"]
    with pytest.raises(BrokenLine, match="missing"):
        from_line(json.dumps(found).encode())


def test_kinds_that_are_not_known_are_skipped() -> None:
    assert from_line(b'{"v": 1, "tag": "dreamt", "of": "sheep"}') is None


@pytest.mark.parametrize("line", [b"[]", b"1", b'{"tag": "scored"}', b'{"v": 1}', b'{"v": true, "tag": "scored"}'])
def test_json_that_says_not_what_it_is_is_broken(line: bytes) -> None:
    with pytest.raises(BrokenLine):
        from_line(line)


def test_a_newer_schema_is_refused_with_the_mend() -> None:
    with pytest.raises(InputError, match=r"schema 2.*upgrade rlm-module"):
        from_line(b'{"v": 2, "tag": "scored", "run_id": "r", "score": 1}')


class Opaque:
    def __repr__(self) -> str:
        return "Opaque()"


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (Opaque(), "Opaque()"),
        (Decimal("1.10"), Decimal("1.10")),
        ({"$": "T"}, {"$": "T"}),
        ({1: "one"}, {1: "one"}),
        ((1, (2,)), (1, (2,))),
    ],
)
def test_outputs_of_any_type_are_kept_or_shown(value: Any, read: Any) -> None:
    back = from_line(to_line(finished(outputs={"answer": value, "other": 1})))
    assert isinstance(back, RunFinished)
    assert back.outputs == {"answer": read, "other": 1}


def test_a_value_that_cannot_be_looked_at_does_not_stop_the_record() -> None:
    back = from_line(to_line(finished(outputs={"answer": Hostile()})))
    assert isinstance(back, RunFinished)
    assert back.outputs == {"answer": "<Hostile>"}


def test_a_value_that_contains_itself_does_not_stop_the_record() -> None:
    loop: list[Any] = []
    loop.append(loop)
    back = from_line(to_line(finished(outputs={"answer": loop})))
    assert isinstance(back, RunFinished)
    assert back.outputs == {"answer": "[[...]]"}


def test_numbers_of_other_types_are_stored_as_what_the_field_holds() -> None:
    price = cast("float", Decimal("0.5"))
    back = from_line(to_line(finished(usage=Usage(calls=True, cost_usd=price))))
    assert isinstance(back, RunFinished)
    assert repr(back.usage) == repr(Usage(calls=1, cost_usd=0.5))


SECRET = "hunter2-hunter2"


def _dumped(event: AnyEvent) -> str:
    return to_line(event, (SECRET,)).decode()


def test_every_field_of_text_is_either_blotted_or_needed_as_it_is() -> None:
    """A new field has to be put on one side."""
    texts = {
        name for kind in KINDS for name, hint in fields(kind).items() if "str" in str(hint) or "Any" in str(hint)
    } | {name for kind in KINDS for name, hint in fields(kind).items() if "Literal" in str(hint)}
    assert texts == BLOTTED | _EXACT
    assert not BLOTTED & _EXACT


def test_credentials_are_blotted_where_people_and_models_read() -> None:
    parts = [{"type": "text", "text": f"a {SECRET}"}]
    called = lm_called([user(f"the key is {SECRET}"), {"role": "user", "content": parts}], "r", error=f"bad {SECRET}")
    for event in (called, acted(reasoning=SECRET), Diverged(run_id="r1", turn=1, what=SECRET)):
        assert SECRET not in _dumped(event)
    assert _dumped(called).count("[secret]") == 3


def test_what_has_to_be_replayed_is_left_as_it_is() -> None:
    for event in (
        acted(code=f"print({SECRET!r})"),
        lm_called([], SECRET),
        finished(outputs={"answer": SECRET}),
    ):
        assert from_line(to_line(event, (SECRET,))) == event


def test_the_key_that_a_provider_repeats_is_blotted_though_nobody_named_it() -> None:
    assert "sk-abcdef" not in to_line(lm_called([], "", error="Incorrect API key: sk-abcdef1234567890")).decode()
    kept = lm_called([user("from sk-learn-contrib import pk_columns_of")], "")
    assert from_line(to_line(kept, (SECRET,))) == kept


def test_a_score_is_small() -> None:
    line = to_line(Scored(run_id="r", at=1.5, score=0.5))
    assert line == b'{"v":1,"tag":"scored","run_id":"r","node":0,"at":1.5,"score":0.5}\n'
