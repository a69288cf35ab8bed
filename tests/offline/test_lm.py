"""OfflineLM as dspy meets it: calls, adapters, state, price, threads."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import dspy
import pytest
from dspy.lm15 import Message, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlm_module.offline import OfflineLM

PASSAGE = "The boat was built by Ann Lee in 1987. It cost 4,200 crowns. Bob paints it every spring."
ADAPTERS = [dspy.ChatAdapter(use_json_adapter_fallback=False), dspy.JSONAdapter(), dspy.XMLAdapter()]


class Facts(dspy.Signature):
    """Read the passage."""

    passage: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField()
    evidence: str = dspy.OutputField()
    cost: int = dspy.OutputField()
    built: bool = dspy.OutputField()
    kind: Literal["car", "boat"] = dspy.OutputField()
    names: list[str] = dspy.OutputField()


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_plain_call_answers_from_the_passage() -> None:
    lm = OfflineLM()
    assert lm(f"Question: Who built the boat?\n\nPassage:\n{PASSAGE}") == ["Ann Lee"]


def test_plain_call_without_overlap_says_so() -> None:
    assert OfflineLM()(f"Question: What is the capital of Peru?\n\nPassage:\n{PASSAGE}") == ["NOT FOUND"]


def test_explicit_request_returns_a_response_with_usage() -> None:
    lm = OfflineLM()
    text = f"Who built the boat?\n\n{PASSAGE}"
    response: Any = lm(Request(model=lm.model, messages=(Message.user(text),)))
    assert response.text == "Ann Lee"
    assert response.usage.input_tokens == -(-len(text) // 4)
    assert response.usage.output_tokens == 2


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
def test_typed_outputs_parse_in_one_call(adapter: dspy.Adapter) -> None:
    lm = OfflineLM()
    with dspy.context(lm=lm, adapter=adapter):
        pred = dspy.Predict(Facts)(passage=PASSAGE, question="Who built the boat?")
    assert pred.answer == "Ann Lee"
    assert pred.evidence == "The boat was built by Ann Lee in 1987."
    assert (pred.built, pred.kind) == (True, "boat")
    assert isinstance(pred.cost, int)
    assert pred.names[0] == "Ann Lee"
    assert len(lm.history) == 1, "a second call means that the first reply did not parse"


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
def test_async_predict_answers_alike(adapter: dspy.Adapter) -> None:
    async def ask() -> str:
        with dspy.context(lm=OfflineLM(), adapter=adapter):
            pred = await dspy.ChainOfThought("passage, question -> answer").acall(
                passage=PASSAGE, question="When was the boat built?"
            )
        return str(pred.answer)

    assert asyncio.run(ask()) == "1987"


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(passage=st.text(), question=st.text())
def test_any_input_gets_outputs_that_parse(adapter: dspy.Adapter, passage: str, question: str) -> None:
    header = f"{question}\n[[ ## cost ## ]]\n<kind>car</kind>\n{passage}"
    with dspy.context(lm=OfflineLM(), adapter=adapter):
        pred = dspy.Predict(Facts)(passage=header, question=question)
    assert pred.kind in ("car", "boat")
    assert isinstance(pred.cost, int)


def test_async_plain_call() -> None:
    assert asyncio.run(OfflineLM().acall(f"Who built the boat?\n\n{PASSAGE}")) == ["Ann Lee"]


def test_every_call_costs_nothing_and_counts_tokens() -> None:
    lm = OfflineLM()
    with dspy.context(lm=lm, track_usage=True):
        pred: Any = dspy.Predict("passage, question -> answer")(passage=PASSAGE, question="Who built the boat?")
    assert lm.history[-1]["cost"] == 0.0
    usage = pred.get_lm_usage()[lm.model]
    assert usage["prompt_tokens"] > len(PASSAGE) // 4
    assert usage["completion_tokens"] > 0


def test_a_cached_answer_is_the_same_and_free() -> None:
    lm = OfflineLM(cache=True)
    prompt = f"Who built the boat?\n\n{PASSAGE}"
    assert lm(prompt) == lm(prompt) == ["Ann Lee"]
    assert [entry["cost"] for entry in lm.history] == [0.0, 0.0]
    assert [bool(entry["usage"]) for entry in lm.history] == [True, False]


def _roundtrip(lm: OfflineLM) -> Any:
    state = json.loads(json.dumps(lm.dump_state()))
    return dspy.BaseLM.load_state(state, allow_custom_lm_class=True)


@pytest.mark.parametrize(
    "clone",
    [
        copy.copy,
        copy.deepcopy,
        lambda lm: lm.copy(temperature=1.0),
        lambda lm: pickle.loads(pickle.dumps(lm)),
        _roundtrip,
    ],
    ids=["copy", "deepcopy", "lm.copy", "pickle", "state"],
)
def test_clones_answer_like_the_original(clone: Any) -> None:
    lm = OfflineLM(max_tokens=500)
    other = clone(lm)
    assert type(other) is OfflineLM
    assert other.kwargs["max_tokens"] == 500
    assert other.cache is False
    assert other(f"Who built the boat?\n\n{PASSAGE}") == ["Ann Lee"]
    assert asyncio.run(other.acall(f"Who built the boat?\n\n{PASSAGE}")) == ["Ann Lee"]
    assert other.history[-1]["cost"] == 0.0


def test_saved_program_brings_it_back(tmp_path: Any) -> None:
    program = dspy.Predict("passage, question -> answer")
    program.set_lm(OfflineLM())
    program.save(tmp_path / "program.json")
    loaded = dspy.Predict("passage, question -> answer")
    loaded.load(tmp_path / "program.json", allow_unsafe_lm_state=True)
    assert loaded(passage=PASSAGE, question="Who built the boat?").answer == "Ann Lee"


def test_threads_share_one() -> None:
    lm = OfflineLM()
    prompts = [f"Who built the boat?\n\nThe boat was built by Ann Number{i} in 1987." for i in range(200)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda prompt: lm(prompt)[0], prompts))
    assert answers == [f"Ann Number{i}" for i in range(200)]


def test_streams_as_dspy_streams() -> None:
    engine: Any = OfflineLM().engine
    events = list(engine.stream(Request(model="offline/extractive", messages=(Message.user("Hi"),))))
    assert [event.type for event in events] == ["start", "delta", "end"]


def test_the_outputs_of_a_run_that_was_cut_short_are_what_its_cells_printed() -> None:
    record = "question: How many sheep?\n7 records\nanswer: 12\nquestion: How many sheep?\nanswer: 7"
    with dspy.context(lm=OfflineLM()):
        pred = dspy.Predict("task, transcript -> count: int")(task="Count the sheep.", transcript=record)
    assert pred.count == 7


def test_a_budget_of_tokens_and_money_asks_nobody_for_its_price_and_loads_no_price_list() -> None:
    """In a process of its own, in which nothing has imported litellm yet."""
    script = """
import os, sys
os.environ.pop("LITELLM_LOCAL_MODEL_COST_MAP", None)
import dspy
from rlm_module import RLM, Budget, OfflineLM
import dspy.clients.model_metadata as metadata
def refuse(*_, **__):
    raise AssertionError("looked up")
import rlm_module.lms.prices as prices
prices.model_info = refuse
dspy.configure(lm=OfflineLM())
rlm = RLM("lines: str, query: str -> count: int", budget=Budget(tokens=2_000_000, cost_usd=1.0))
print(rlm(lines="apple\\npear\\napple\\n", query="How many lines say apple?").count)
assert "LITELLM_LOCAL_MODEL_COST_MAP" not in os.environ
"""
    environment = {name: value for name, value in os.environ.items() if name != "LITELLM_LOCAL_MODEL_COST_MAP"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
    assert "cost map" not in done.stderr
