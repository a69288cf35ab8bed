"""Long replies of Anthropic's models are asked for as streams; callers get what they always get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import dspy
import pytest

from rlm_module import RLM, Budget
from rlm_module.events import LMCalled
from rlm_module.lms.long_replies import has_to_stream, streamed, streamed_async
from rlm_module.lms.meter import Meter
from tests.fake_interpreter import FakeInterpreter
from tests.model_server import Always, ModelServer, Reply, StalledStream, Usage
from tests.model_server.engines import ENGINES, Engine, lm
from tests.scripted import AsyncScriptedEngine, ScriptedEngine, ScriptedLM, turn

CLAUDE = "anthropic/claude-sonnet-4-5"


class Recording(ScriptedEngine):
    """Notes whether a reply was asked for whole or as a stream."""

    def __init__(self, *replies: str) -> None:
        super().__init__(replies)
        self.asked: list[str] = []

    def complete(self, request: Any) -> Any:
        self.asked.append("complete")
        return super().complete(request)

    def stream(self, request: Any) -> Iterator[Any]:
        yield from super().stream(request)
        self.asked[-1] = "stream"  # the reply of which it made a stream


class AsyncRecording(AsyncScriptedEngine):
    def __init__(self, engine: Recording) -> None:
        super().__init__(engine)

    async def stream(self, request: Any) -> AsyncIterator[Any]:
        async for event in super().stream(request):
            yield event


def _lm(engine: Recording, model: str = CLAUDE, max_tokens: int | None = 32_000) -> dspy.LM:
    return dspy.LM(model, engine=engine, async_engine=AsyncRecording(engine), cache=False, max_tokens=max_tokens)


def _run(lm: dspy.LM, *, is_async: bool = False, **options: Any) -> Any:
    rlm = RLM("query -> answer", interpreter_factory=FakeInterpreter, **options)
    with dspy.context(lm=lm):
        return asyncio.run(rlm.acall(query="q")) if is_async else rlm(query="q")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_run_streams_turns_and_sub_calls(is_async: bool) -> None:
    engine = Recording(turn("SUBMIT(answer=llm_query('x'))"), "two words")
    prediction = _run(_lm(engine), is_async=is_async)
    assert prediction.answer == "two words"
    assert engine.asked == ["stream", "stream"]
    assert prediction.usage.total.tokens == 30
    calls = [event for event in prediction.run.events if isinstance(event, LMCalled)]
    assert [call.reply for call in calls] == [turn("SUBMIT(answer=llm_query('x'))"), "two words"]
    assert calls[0].messages


def test_an_rlm_called_synchronously_inside_an_event_loop_streams_too() -> None:
    engine = Recording(turn("SUBMIT(answer='x')"))

    async def inside() -> Any:
        return _run(_lm(engine))

    assert asyncio.run(inside()).answer == "x"
    assert engine.asked == ["stream"]


@pytest.mark.parametrize(
    ("model", "limit"), [(CLAUDE, 21_000), (CLAUDE, None), ("openai/gpt-5-chat", 32_000), ("openrouter/x", 64_000)]
)
def test_others_do_not(model: str, limit: int | None) -> None:
    engine = Recording(turn("SUBMIT(answer='x')"))
    assert _run(_lm(engine, model, max_tokens=limit)).answer == "x"
    assert engine.asked == ["complete"]


def test_the_limit_that_a_budget_sets_counts() -> None:
    engine = Recording(turn("SUBMIT(answer='x')"))
    _run(_lm(engine, max_tokens=None), budget=Budget(tokens=900_000, root_tokens=30_000))
    assert engine.asked == ["stream"]


@pytest.mark.parametrize(
    "model",
    [
        "anthropic/claude-opus-4-1",
        "claude-opus-4-1",
        "bedrock/us.anthropic.claude-sonnet-4-5-v1:0",
        "bedrock/converse/anthropic.claude-3-7-sonnet",
        "vertex_ai/claude-sonnet-4@20250514",
    ],
)
def test_models_of_anthropic_are_known_wherever_they_are_hosted(model: str) -> None:
    assert has_to_stream(dspy.LM(model), 21_001)
    assert not has_to_stream(dspy.LM(model), 21_000)
    assert not has_to_stream(ScriptedLM().copy(model="bedrock/meta.llama"), 21_001)


def test_a_listener_of_the_users_is_left_alone() -> None:
    with dspy.context(send_stream=object()):
        assert not has_to_stream(dspy.LM(CLAUDE), 32_000)


def test_an_engine_that_cannot_stream_is_asked_as_ever() -> None:
    class Plain:
        def __init__(self, engine: ScriptedEngine) -> None:
            self.complete = engine.complete

    engine = Recording(turn("SUBMIT(answer='x')"))
    assert _run(dspy.LM(CLAUDE, engine=Plain(engine), cache=False, max_tokens=32_000)).answer == "x"
    assert engine.asked == ["complete"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_both_engines_of_dspy_return_the_whole_reply_and_its_usage(engine: Engine, is_async: bool) -> None:
    with ModelServer(Always(Reply("so it is", usage=Usage(11, 3)))) as server, Meter().scope() as meter:
        asked = lm(server, engine, max_tokens=32_000)
        plain = asked("hello")
        found = asyncio.run(streamed_async(asked, "hello")) if is_async else streamed(asked, "hello")
        first, second = (record.body for record in server.log().requests)
    assert found == plain == ["so it is"]
    assert (first.get("stream", False), second["stream"]) == (False, True)
    assert {name: first[name] for name in ("messages", "model")} == {
        name: second[name] for name in ("messages", "model")
    }
    assert (meter.usage.calls, meter.usage.prompt_tokens, meter.usage.completion_tokens) == (2, 22, 6)
    assert meter.last_entry is asked.history[-1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fault_within_a_stream_is_the_lms_own_error(engine: Engine) -> None:
    with ModelServer(Always(StalledStream())) as server:
        asked = lm(server, engine, max_tokens=32_000, timeout=0.5, num_retries=0)
        with pytest.raises(dspy.LMError):
            streamed(asked, "hello")
