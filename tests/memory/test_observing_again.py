"""What an observer is still to read, what that costs, and what becomes of sessions that it could not read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Response, Usage

from rlm_module import Budget, FatalError, InputError
from rlm_module.memory import MemorySystem, Observer, SqliteStore
from tests.memory.cast import ANN, Cast, chat, noticed
from tests.memory.observers import LIFE, Turns, each, kept, observe
from tests.scripted import response


def test_nothing_is_observed_twice_and_what_is_appended_is(store: SqliteStore) -> None:
    cast = Cast(observer=each(LIFE))
    observe(store, cast)
    assert observe(store, cast).sessions == 0
    more = ANN[0].model_copy(
        update={"turns": (*ANN[0].turns, ANN[0].turns[0].model_copy(update={"text": "It is blue now."}))}
    )
    store.user("ann").ingest([more])
    assert observe(store, cast).sessions == 1
    assert [turn["text"] for turn in _last_session(cast)] == ["It is blue now."]


def _last_session(cast: Cast) -> Turns:
    lines = cast.prompts("observer")[-1].split("[[ ## session ## ]]\n")[1].split("\n\n[[ ##")[0]
    return [json.loads(line) for line in lines.splitlines()]


def test_a_change_of_the_observer_is_priced_before_it_runs(store: SqliteStore) -> None:
    cast = Cast(observer=each(LIFE))
    cast.lm.model = "openai/gpt-4o-mini"
    with dspy.context(lm=cast.lm):
        program = MemorySystem(store, "ann", observer=Observer())
        before = program.estimate()
        assert (before.sessions, before.turns, before.calls) == (3, 6, 3)
        assert before.cost_usd is not None
        assert 0 < before.cost_usd < 0.1
        report = program.ingest(ANN).observed
        assert report is not None
        assert report.sessions == 3
        assert program.estimate().calls == 0
        assert program.estimate().cost_usd == 0
        changed = MemorySystem(store, "ann", observer=Observer())
        predictor = changed.observer.observe_session  # pyright: ignore[reportOptionalMemberAccess]
        predictor.signature = predictor.signature.with_instructions("Be brief.")
        assert changed.estimate().sessions == 3
        assert MemorySystem(store, "ann", observer=Observer(version="2")).estimate().sessions == 3
        again = changed.ingest([]).observed
    assert again is not None
    assert (again.sessions, len(kept(store))) == (3, 3)


def test_a_price_nobody_knows_is_none(store: SqliteStore) -> None:
    with dspy.context(lm=Cast().lm):
        assert MemorySystem(store, "ann", observer=Observer()).estimate().cost_usd is None
        assert Observer().estimate(store.user("ann"), Budget(prices={"scripted/model": (1.0, 1.0)})).cost_usd


def test_without_an_observer_there_is_nothing_to_price(store: SqliteStore) -> None:
    with pytest.raises(InputError, match="has no observer; pass observer=Observer"):
        MemorySystem(store, "ann").estimate()


def test_sessions_are_read_side_by_side(store: SqliteStore) -> None:
    together = threading.Barrier(3)  # whoever reads alone breaks it

    def observer(turns: Turns, log: Turns) -> str:
        together.wait(20)
        return noticed()

    assert observe(store, Cast(observer=observer), concurrency=3).sessions == 3


def test_a_changed_observer_goes_on_where_its_budget_ended_and_prices_the_rest(store: SqliteStore) -> None:
    def reply(turns: Turns, log: Turns) -> Response:
        return response(each(LIFE)(turns, log), usage=Usage(input_tokens=900, output_tokens=5))

    observe(store, Cast(observer=each({**LIFE, "value": "Of the first."})))
    with dspy.context(lm=Cast(observer=reply).lm):
        program = MemorySystem(store, "ann", observer=Observer(version="2", concurrency=1))
        assert program.estimate().sessions == 3
        cut = program.ingest([], budget=Budget(tokens=2_000, root_tokens=300, sub_tokens=300)).observed
        assert cut is not None
        assert 0 < cut.sessions < 3
        assert program.estimate().sessions == 3 - cut.sessions
        assert (
            sorted(one.value for one in kept(store))
            == ["Of the first."] * (3 - cut.sessions) + [LIFE["value"]] * cut.sessions
        )
        rest = program.ingest([]).observed
        assert rest is not None
        assert rest.sessions == 3 - cut.sessions
    assert {one.value for one in kept(store)} == {LIFE["value"]}


def test_a_session_that_fails_stays_pending(store: SqliteStore) -> None:
    def observer(turns: Turns, log: Turns) -> Any:
        return dspy.LMServerError("down") if "Oslo" in turns[0]["text"] else noticed()

    report = observe(store, Cast(observer=observer))
    assert (report.sessions, report.failed) == (2, 1)
    assert observe(store, Cast(observer=each(LIFE))).sessions == 1


_LOST = "The observer cannot read this."


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_session_that_cannot_be_read_does_not_keep_others_from_it(store: SqliteStore, concurrency: int) -> None:
    def observer(turns: Turns, log: Turns) -> str:
        return _LOST if "red Cube" in turns[0]["text"] else each(LIFE)(turns, log)

    report = observe(store, Cast(observer=observer), concurrency=concurrency)
    assert (report.sessions, report.failed) == (2, 1)
    (fault,) = report.faults
    assert fault.startswith(f"Session {store.user('ann').session_id('bike')} could not be observed (AdapterParseError")
    assert "\n" not in fault
    again = observe(store, Cast(observer=observer), concurrency=concurrency)
    assert (again.sessions, again.failed) == (0, 1)


def test_an_lm_that_reads_no_session_is_told_of_in_a_sentence(store: SqliteStore) -> None:
    cast = Cast(observer=lambda turns, log: _LOST)
    with pytest.raises(FatalError, match=r"^None of 3 sessions could be observed \(.*\); see to the LM.*\.$") as caught:
        observe(store, cast, concurrency=1)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_an_lm_that_reads_none_of_many_sessions_is_given_up(store: SqliteStore) -> None:
    store.user("eve").ingest([chat(f"s{n}", "2024-01-01", ("user", "hi")) for n in range(40)])
    cast = Cast(observer=lambda turns, log: dspy.LMServerError("down"))
    with dspy.context(lm=cast.lm), pytest.raises(FatalError, match="None of 24 sessions"):
        Observer(concurrency=8).observe(store.user("eve"))


@pytest.mark.parametrize("error", [dspy.LMAuthError("wrong key"), dspy.LMTransportError("no route")])
def test_what_no_session_is_to_blame_for_ends_it_at_once(store: SqliteStore, error: Exception) -> None:
    cast = Cast(observer=lambda turns, log: error)
    with pytest.raises(FatalError, match=r"The session could not be observed \(LM"):
        observe(store, cast, concurrency=1)
    assert len(cast.prompts("observer")) == 1


def test_a_budget_cuts_it_short_and_the_rest_stays_pending(store: SqliteStore) -> None:
    def reply(turns: Turns, log: Turns) -> Response:
        return response(each(LIFE)(turns, log), usage=Usage(input_tokens=900, output_tokens=5))

    with dspy.context(lm=Cast(observer=reply).lm):
        observer = Observer(concurrency=1)
        report = observer.observe(store.user("ann"), budget=Budget(tokens=2_000, root_tokens=300, sub_tokens=300))
        assert report.is_cut_short
        assert 0 < report.sessions < 3
        assert observer.observe(store.user("ann")).sessions == 3 - report.sessions


_KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
import tests.conftest, dspy
from rlm_module.memory import Observer, SqliteStore
from tests.memory.cast import Cast, noticed

paid = open({paid!r}, "a", buffering=1)

def observer(turns, log):
    if "Bergen" in turns[0]["text"]:
        os.kill(os.getpid(), signal.SIGKILL)
    paid.write(turns[0]["id"] + "\\n")
    return noticed(dict(kind="fact", subject="life", value="So.", turns=[turns[0]["id"]]))

with SqliteStore({file!r}) as store, dspy.context(lm=Cast(observer=observer).lm):
    Observer(concurrency=1).observe(store.user("ann"))
"""


def test_a_killed_observer_pays_for_nothing_twice(store: SqliteStore, tmp_path: Path) -> None:
    paid = tmp_path / "paid"
    root = str(Path(__file__).parent.parent.parent)
    code = _KILLED.format(root=root, paid=str(paid), file=str(tmp_path / "memory.db"))
    process = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=root, env={**os.environ}, capture_output=True
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert len(paid.read_text().split()) == len(kept(store)) == 2
    cast = Cast(observer=each(LIFE))
    assert observe(store, cast).sessions == 1
    assert len(kept(store)) == 3
    assert _last_session(cast)[0]["text"] == "We moved to Bergen last week."
