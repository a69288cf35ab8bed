"""Every arm takes the same calls and gives the same kind of answer."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import dspy
import pytest

from rlm_module import InputError
from rlm_module.memory import MemoryPrediction, SqliteStore, read_session
from rlm_module.memory.arms import ARMS, FullHistory, Search, make_arm
from tests.memory.cast import ANN, AS_OF, Cast, chat, noticed, rows, section, turns_of
from tests.scripted import ScriptedLM, fields, turn

PROMPT = ("full_history", "bm25", "oracle")
TOOLED = ("tools", "delegation", "observations")
CELL = "hit = search('bicycle', k=1)[0]\nSUBMIT(answer='A red Cube', evidence=[hit.id])"
PLAIN = (
    "s, n = next((s, n) for s in history for n, t in enumerate(s['turns']) if 'Cube' in t['text'])\n"
    "SUBMIT(answer='A red Cube', evidence=[dict(session=s['id'], turn=n, quote='red Cube')])"
)


def _found(prompt: str) -> str:
    shown = rows(prompt, "turns")
    hit = next((turn["id"] for turn in shown if "Cube" in turn["text"]), None)
    return fields(answer="A red Cube" if hit else "None", evidence=f'["{hit}", "made-up.1"]' if hit else "[]")


class _PromptCast(Cast):
    def _reply(self, request: Any) -> Any:
        from tests.scripted import said

        self.asked.append(("prompt", said(request)))
        return _found(said(request))


def _cast(name: str) -> Cast:
    if name in PROMPT:
        return _PromptCast()
    return Cast(PLAIN if name == "rlm" else CELL, observer=lambda turns, log: noticed())


def _answer(store: SqliteStore, name: str, **inputs: Any) -> MemoryPrediction:
    with dspy.context(lm=_cast(name).lm):
        arm = make_arm(name, store, "cleo")
        arm.ingest(ANN)
        return arm(**{"question": "Which bicycle?", "as_of": AS_OF, **inputs})


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_answers_with_turns_that_can_be_traced_to_what_it_was_given(store: SqliteStore, name: str) -> None:
    prediction = _answer(store, name)
    assert (prediction.answer, prediction.abstained, prediction.reason) == ("A red Cube", False, None)
    arm = make_arm(name, store, "cleo")
    assert prediction.evidence == [f"{arm.session_id('bike')}.0"]
    assert prediction.usage.total.calls >= 1
    assert prediction.cost_usd is None  # nobody knows what the scripted LM costs


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_sees_nothing_later(store: SqliteStore, name: str) -> None:
    prediction = _answer(store, name, as_of=dt.datetime(2024, 2, 1, tzinfo=dt.UTC))
    assert (prediction.answer, prediction.abstained, prediction.reason) == (None, True, "no_evidence")
    assert prediction.usage.total.calls == 0


@pytest.mark.parametrize("name", ARMS)
@pytest.mark.parametrize("inputs", [{"question": " "}, {"as_of": dt.datetime(2024, 7, 1)}, {"as_of": "2024"}])
def test_bad_input_is_refused(store: SqliteStore, name: str, inputs: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        _answer(store, name, **inputs)


@pytest.mark.parametrize("name", ["bm25", "rlm"])
def test_arms_can_be_awaited(store: SqliteStore, name: str) -> None:
    with dspy.context(lm=_cast(name).lm):
        arm = make_arm(name, store, "cleo")
        arm.ingest(ANN)
        prediction = asyncio.run(arm.acall(question="Which bicycle?", as_of=AS_OF))
    assert prediction.answer == "A red Cube"


@pytest.mark.parametrize("is_cited", [False, True])
def test_the_word_none_is_an_answer_only_with_turns(store: SqliteStore, is_cited: bool) -> None:
    cited = f'["{turns_of(store, "ann")["I live in Oslo now."].id}"]'
    with dspy.context(lm=ScriptedLM([fields(answer="None", evidence=cited if is_cited else "[]")])):
        prediction = make_arm("full_history", store, "ann")(question="Which allergies?", as_of=AS_OF)
    assert (prediction.answer, prediction.abstained) == (("None", False) if is_cited else (None, True))


def test_a_window_holds_the_latest_turns(store: SqliteStore) -> None:
    memory = store.user("ann", as_of=AS_OF)
    assert [turn.text for turn in FullHistory(store, "ann", window_tokens=60).chosen(memory, "")] == [
        "We moved to Bergen last week.", "Bergen is rainy.",
    ]  # fmt: skip
    assert len(FullHistory(store, "ann", window_tokens=None).chosen(memory, "")) == 6
    assert FullHistory(store, "ann", window_tokens=1).chosen(memory, "") == []


def test_a_search_finds_the_best_turns(store: SqliteStore) -> None:
    memory = store.user("ann", as_of=AS_OF)
    assert [turn.text for turn in Search(store, "ann", k=1).chosen(memory, "red bicycle")] == [
        "I bought a red Cube bicycle yesterday."
    ]


def test_a_prompt_delimits_what_it_shows(store: SqliteStore) -> None:
    cast = _PromptCast()
    with dspy.context(lm=cast.lm):
        make_arm("full_history", store, "ann")(question="Which bicycle?", as_of=AS_OF)
    (prompt,) = cast.prompts("prompt")
    assert [turn["role"] for turn in rows(prompt, "turns")] == ["user", "assistant"] * 3
    assert section(prompt, "as_of") == "Mon 2024-07-01 12:00+00:00"


def test_an_unknown_arm_is_refused(store: SqliteStore) -> None:
    with pytest.raises(InputError, match=r"^There is no arm 'psychic'; choose from full_history, bm25, rlm, tools, "):
        make_arm("psychic", store, "ann")


@pytest.mark.parametrize("name", ["full_history", "rlm", "oracle"])
def test_a_session_without_turns_that_are_known_is_no_part_of_the_history(store: SqliteStore, name: str) -> None:
    ann = store.user("ann")
    later = {"role": "user", "text": "said later", "ts": "2025-03-01T00:00:00Z"}
    ann.ingest([read_session({"id": "later", "started_at": "2024-01-01T00:00:00Z", "turns": [later]})])
    ann.ingest([chat("gone", "2024-01-02", ("user", "forgotten"))])
    ann.forget_turn(f"{ann.session_id('gone')}.0")
    lm = ScriptedLM(lambda request: fields(answer="red", evidence="[]"))
    if name == "rlm":
        lm = ScriptedLM([turn(PLAIN.replace("'A red Cube'", "str(len(list(history)))"))])
    with dspy.context(lm=lm):
        answer = make_arm(name, store, "ann")(question="Which bicycle?", as_of=AS_OF).answer
    assert answer == ("3" if name == "rlm" else "red")
