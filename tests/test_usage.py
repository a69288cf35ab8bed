"""What a run says it used: the same by its events, by its split, and by dspy's own tracker."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import dspy
import pytest

from rlm_module import RLM, Budget
from rlm_module.events import LMCalled, Usage
from rlm_module.lms.meter import Meter
from rlm_module.lms.plausible import can_be, cost_of, tokens_of
from tests.fake_interpreter import FakeInterpreter
from tests.model_server import Always, ModelServer, Reply, Request, WrongUsage
from tests.model_server import Usage as Told
from tests.model_server.engines import ENGINES, Engine, lm
from tests.scripted import ScriptedLM, turn
from tests.staged import part_of, work

PRICES = {"openai/root": (10.0, 30.0), "openai/sub": (1.0, 3.0)}
_CODE = """\
asked = [llm_query('a'), llm_query('b'), *llm_query_batched(['a', 'c'])]
print(asked, rlm_query('How many apples does the child count?', 'an apple'))
SUBMIT(answer=str(len(asked)))"""


def _answer(request: Request) -> Reply:
    part = part_of(request)
    text = turn(_CODE) if part == "root" else work(part, 1).text
    return Reply(text, usage={"root": Told(1_000, 100), "sub": Told(20, 3), "child": Told(300, 40)}[part])


def _run(server: ModelServer, engine: Engine, *, cache: bool) -> tuple[Any, dict[str, dict[str, Any]]]:
    root, sub = (lm(server, engine, model=f"openai/{name}", cache=cache) for name in ("root", "sub"))
    budget = Budget(cost_usd=9.0, prices=PRICES)
    rlm = RLM("query -> answer", max_depth=2, interpreter_factory=FakeInterpreter, budget=budget, sub_lm=sub)
    with dspy.context(lm=root), dspy.track_usage() as tracker:
        prediction = rlm(query="q")
    return prediction, tracker.get_total_tokens()


def _by(prediction: Any, name: str) -> dict[Any, Usage]:
    sums: dict[Any, Usage] = defaultdict(Usage)
    for event in prediction.run.events:
        if isinstance(event, LMCalled):
            sums[getattr(event, name)] += event.usage
    return dict(sums)


@pytest.mark.parametrize("engine", ENGINES)
def test_usage_agrees_with_the_events_and_with_dspys_tracker(engine: Engine) -> None:
    with ModelServer(_answer) as server:
        prediction, tracked = _run(server, engine, cache=False)
    usage = prediction.usage
    for name, split in (("role", usage.by_role), ("model", usage.by_model), ("depth", usage.by_depth)):
        found = _by(prediction, name)
        assert {key: (u.calls, u.prompt_tokens, u.completion_tokens) for key, u in found.items()} == {
            key: (u.calls, u.prompt_tokens, u.completion_tokens) for key, u in split.items()
        }
        assert {key: u.cost_usd for key, u in found.items()} == {
            key: pytest.approx(u.cost_usd) for key, u in split.items()
        }
        assert sum((u.tokens for u in split.values()), 0) == usage.total.tokens
    assert (usage.by_role["root"].calls, usage.by_role["root"].tokens) == (1, 1_100)
    assert (usage.by_role["sub"].calls, usage.by_role["sub"].tokens) == (4, 92)
    assert (usage.by_role["child"].calls, usage.by_role["child"].tokens) == (1, 340)
    for model, totals in tracked.items():
        assert totals["prompt_tokens"] == usage.by_model[model].prompt_tokens
        assert totals["completion_tokens"] == usage.by_model[model].completion_tokens
    assert set(tracked) == set(usage.by_model)
    assert prediction.cost_usd == pytest.approx(0.013 + 80e-6 + 36e-6 + 300e-6 + 120e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_cached_calls_count_and_cost_nothing(engine: Engine) -> None:
    with ModelServer(_answer) as server:
        first, _ = _run(server, engine, cache=True)
        again, tracked = _run(server, engine, cache=True)
        assert len(server.log().requests) == 5
    sub = first.usage.by_role["sub"]
    assert (sub.calls, sub.cached_calls, sub.prompt_tokens, sub.completion_tokens) == (4, 1, 60, 9)
    assert sub.cost_usd == pytest.approx(87e-6)
    assert (again.usage.total, tracked) == (Usage(calls=6, cached_calls=6), {})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("told", [{"prompt_tokens": 10**18, "completion_tokens": 1}, None])
def test_usage_that_is_not_believed_is_not_known(engine: Engine, told: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Without a limit nothing has to be held, so nothing is made up."""
    rlm = RLM("query -> answer", interpreter_factory=FakeInterpreter)
    reply = WrongUsage(told, text=turn("SUBMIT(answer='x')"))
    with ModelServer(Always(reply)) as server, dspy.context(lm=lm(server, engine, model="openai/gpt-4o-mini")):
        prediction = rlm(query="q")
    assert (prediction.answer, prediction.usage.total) == ("x", Usage(calls=1, cost_usd=None))
    assert ("cannot be true" in caplog.text) == (told is not None)


def test_a_negative_price_of_negative_usage_is_none() -> None:
    told = {"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12}
    with ModelServer(Always(WrongUsage(told))) as server, Meter().scope() as meter:
        lm(server, "litellm", model="openai/gpt-4o-mini")("hello")
    assert meter.is_wrong
    assert meter.usage == Usage(calls=1, cost_usd=None)


@pytest.mark.parametrize("given", [-1, True, "7", float("nan"), float("inf"), 10**9, [1], -0.5])
def test_what_cannot_be_a_number_of_tokens(given: Any) -> None:
    assert tokens_of({"prompt_tokens": given}, "prompt") is None


def test_what_can_be() -> None:
    assert tokens_of({"input_tokens": 7, "prompt_tokens": None}, "prompt", "input") == 7
    assert tokens_of({}, "prompt") == 0
    assert tokens_of({"prompt_tokens": 7.0}, "prompt") == 7
    assert [cost_of(given) for given in (0.5, 0, None, -0.1, float("nan"), "1", True)] == [0.5, 0, *[None] * 5]


@pytest.mark.parametrize(
    ("prompt", "tokens", "is_possible"),
    [
        ("word " * 1000, (1_300, 4_000), True),
        ("word " * 1000, (1_300, 150_000), True),
        ("word " * 1000, (500_000, 10), False),
        ([{"role": "user", "content": "x"}], (900_000, 10), False),
        ([{"role": "user", "content": [{"type": "file", "file": {"url": "https://a/b.pdf"}}]}], (900_000, 10), True),
        ("x", (10, 900_000), False),
    ],
)
def test_a_token_is_a_byte_at_least(prompt: Any, tokens: tuple[int, int], is_possible: bool) -> None:
    assert can_be(*tokens, prompt=prompt, reply="so", limit=None) == is_possible


def test_a_reply_ends_at_its_limit() -> None:
    assert can_be(1, 4_000, prompt="x", reply="so", limit=4_000)
    assert not can_be(1, 40_000, prompt="x", reply="so", limit=4_000)


def test_a_run_that_a_tool_of_a_run_starts_is_counted_once() -> None:
    def ask() -> str:
        """Another run."""
        return RLM("q -> a", interpreter_factory=FakeInterpreter)(q="1").a

    lm = ScriptedLM(lambda request: turn("SUBMIT(a='x')" if "`q`" in str(request.system) else "SUBMIT(b=ask())"))
    with dspy.context(lm=lm), dspy.track_usage() as tracker:
        prediction: Any = RLM("p -> b", tools=[ask], interpreter_factory=FakeInterpreter)(p="1")
    assert {role: usage.calls for role, usage in prediction.usage.by_role.items()} == {"root": 1, "tool": 1}
    assert tracker.get_total_tokens()["scripted/model"]["prompt_tokens"] == prediction.usage.total.prompt_tokens == 20
