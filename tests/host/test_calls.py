"""Calls and Queries without a sandbox: what a session would dispatch, answered on the host."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import dspy
import pytest
from dspy.lm15 import Message, RefusalPart, Response, Usage

from rlm_module import SubcallError
from rlm_module.events import CallFinished, CallStarted
from rlm_module.host.calls import Calls
from rlm_module.host.queries import Queries
from rlm_module.host.subcalls import Models
from rlm_module.host.tools import HostTool, concurrent
from rlm_module.host.workers import result_of
from rlm_module.journal import Journal
from rlm_module.lms.ledger import Ledger
from rlm_module.sandbox.base import HostCall
from rlm_module.tree import Node, Tree
from tests.scripted import ScriptedLM, response, said

_marker = contextvars.ContextVar("marker", default="unset")


class Host:
    """Calls with everything that they need, ready to be asked."""

    def __init__(self, *tools: Any, lm: Any = None, named: Any = None, limit: int = 50, **options: Any) -> None:
        self.journal = Journal("run")
        options = {"concurrency": 4, "tool_seconds": 60.0, **options}
        self.ledger = Ledger(limit)
        self.tree = Tree(self.journal, self.ledger, **options)
        self.calls = Calls(self.tree, Node(self.ledger.calls))
        for tool in tools:
            self.calls.add_tool(HostTool.of(tool if isinstance(tool, dspy.Tool) else dspy.Tool(tool)))
        Queries(self.calls, Models(lm, named or {}))

    def begin(self, function: str, *args: Any, **kwargs: Any) -> Future[Any]:
        return self.calls(HostCall(function, args, kwargs, 0))

    def ask(self, function: str, *args: Any, **kwargs: Any) -> Any:
        return result_of(self.begin(function, *args, **kwargs))

    def error(self, function: str, *args: Any, **kwargs: Any) -> BaseException:
        error = self.begin(function, *args, **kwargs).exception(10)
        assert error is not None
        return error


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(5)
    assert [thread.name for thread in left if thread.is_alive()] == []


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    made: list[Host] = []
    yield made
    for host in made:
        host.tree.close()


def _kind(error: BaseException) -> str:
    assert isinstance(error, SubcallError)
    return error.kind


def test_a_query_returns_the_text_of_the_sub_lm(hosts: list[Host]) -> None:
    host = Host(lm=ScriptedLM(["Paris"]))
    hosts.append(host)
    assert host.ask("llm_query", "Capital of France?") == "Paris"
    assert host.ledger.report().by_role["sub"].tokens == 15


def test_without_any_lm_a_query_fails(hosts: list[Host]) -> None:
    host = Host()
    hosts.append(host)
    assert _kind(host.error("llm_query", prompt="x")) == "lm"


@pytest.mark.parametrize(
    ("lm", "text"),
    [
        (lambda prompt: [f"list {prompt}"], "list x"),
        (lambda prompt: [{"text": "dict"}], "dict"),
        (lambda prompt: "text", "text"),
        (lambda prompt: response("response"), "response"),
    ],
)
def test_any_callable_may_be_the_sub_lm(hosts: list[Host], lm: Any, text: str) -> None:
    host = Host(lm=lm)
    hosts.append(host)
    assert host.ask("llm_query", "x") == text
    assert host.ledger.report().total.calls == 1


def test_a_call_that_is_cancelled_before_its_turn_does_not_count(hosts: list[Host]) -> None:
    asked, go_on = threading.Semaphore(0), threading.Event()

    def slow(prompt: str) -> str:
        asked.release()
        go_on.wait(60)
        return prompt

    host = Host(lm=slow, limit=5, concurrency=1)
    hosts.append(host)
    first, second, _ = (host.begin("llm_query", text) for text in "abc")
    assert asked.acquire(timeout=60)
    assert (second.cancel(), first.cancel()) == (True, False)
    assert host.ledger.calls.left == 3
    go_on.set()


def test_the_same_holds_where_the_lm_can_only_be_awaited(hosts: list[Host]) -> None:
    asked = threading.Semaphore(0)

    async def slow(prompt: str) -> str:
        asked.release()
        await asyncio.Event().wait()
        return prompt

    async def rounds() -> None:
        for _ in range(10):
            await asyncio.sleep(0)  # lets whatever is due on the loop come first

    host = Host(lm=slow, limit=5, concurrency=1)
    hosts.append(host)
    first, second, _ = (host.begin("llm_query", text) for text in "abc")
    assert asked.acquire(timeout=60)
    host.tree.coroutines.submit(rounds()).result(60)
    second.cancel()
    host.tree.coroutines.submit(rounds()).result(60)
    assert host.ledger.calls.left == 3
    first.cancel()
    host.tree.coroutines.submit(rounds()).result(60)
    assert host.ledger.calls.left == 3


def test_a_model_is_chosen_by_name(hosts: list[Host]) -> None:
    host = Host(lm=ScriptedLM(["default"]), named={"strong": ScriptedLM(["strong"])})
    hosts.append(host)
    assert host.ask("llm_query", "x", model="strong") == "strong"
    error = host.error("llm_query", "x", model="weak")
    assert _kind(error) == "invalid"
    assert "'strong'" in str(error)


def test_a_batch_comes_in_order_and_side_by_side(hosts: list[Host]) -> None:
    together = threading.Barrier(4)

    def lm(prompt: str) -> list[str]:
        together.wait(5)
        return [f"re: {prompt}"]

    host = Host(lm=lm)
    hosts.append(host)
    assert host.ask("llm_query_batched", ["a", "b", "c", "d"]) == ["re: a", "re: b", "re: c", "re: d"]
    assert host.ask("llm_query_batched", []) == []


def test_a_failed_item_of_a_batch_stands_in_its_place(hosts: list[Host]) -> None:
    def lm(prompt: str) -> list[str]:
        if prompt == "b":
            raise dspy.LMTransportError("no route")
        return [prompt]

    host = Host(lm=lm)
    hosts.append(host)
    first, second, third, fourth = host.ask("llm_query_batched", ["a", "b", "", "d"])
    assert (first, fourth) == ("a", "d")
    assert (_kind(second), _kind(third)) == ("lm", "invalid")
    assert not second
    with pytest.raises(TypeError, match="no route"):
        _ = second + "text"


def test_of_a_batch_over_the_limit_what_fits_is_run(hosts: list[Host]) -> None:
    host = Host(lm=lambda prompt: [prompt], limit=3)
    hosts.append(host)
    results = host.ask("llm_query_batched", ["a", "b", "c", "d", "e"])
    assert results[:3] == ["a", "b", "c"]
    assert [_kind(result) for result in results[3:]] == ["budget", "budget"]
    assert _kind(host.error("llm_query", "f")) == "budget"


def _refusal() -> Response:
    return Response(None, "m", Message.assistant([RefusalPart("I won't.")]), "stop", Usage())


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (dspy.lm15.ContextLengthError("too long"), "context_window"),
        (dspy.ContextWindowExceededError(model="m"), "context_window"),
        (dspy.LMTimeoutError("slow"), "timeout"),
        (TimeoutError("slow"), "timeout"),
        (dspy.LMRateLimitError("429"), "lm"),
        (response("cut off", finish_reason="length"), "truncated"),
        (response("", finish_reason="content_filter"), "refusal"),
        (_refusal(), "refusal"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_failures_have_a_kind(hosts: list[Host], reply: Any, kind: str) -> None:
    def raising(prompt: str) -> Any:
        if isinstance(reply, Exception) and not isinstance(reply, dspy.lm15.LM15Error):
            raise reply
        return ScriptedLM([reply])(prompt)

    host = Host(lm=raising)
    hosts.append(host)
    assert _kind(host.error("llm_query", "x")) == kind


@pytest.mark.parametrize("prompt", ["", "  \n", None, 5, ["a"]])
def test_what_is_no_prompt_is_refused_and_costs_nothing(hosts: list[Host], prompt: Any) -> None:
    host = Host(lm=ScriptedLM([]), limit=1)
    hosts.append(host)
    assert _kind(host.error("llm_query", prompt)) == "invalid"
    assert host.ledger.calls.left == 1


def test_a_text_instead_of_a_list_of_prompts_is_refused(hosts: list[Host]) -> None:
    host = Host(lm=ScriptedLM([]))
    hosts.append(host)
    assert _kind(host.error("llm_query_batched", "abc")) == "invalid"


def test_a_reply_without_text_is_a_failure(hosts: list[Host]) -> None:
    host = Host(lm=lambda prompt: [{"tool_calls": []}])
    hosts.append(host)
    assert _kind(host.error("llm_query", "x")) == "unparsable"


def test_lone_surrogates_in_a_prompt_reach_the_lm_as_escapes(hosts: list[Host]) -> None:
    lm = ScriptedLM(["fine"])
    host = Host(lm=lm)
    hosts.append(host)
    assert host.ask("llm_query", "a\ud800b") == "fine"
    assert said(lm.requests[0]) == "a\\ud800b"


def test_sub_calls_see_the_callers_context(hosts: list[Host]) -> None:
    _marker.set("caller")
    host = Host(lm=lambda prompt: [_marker.get()])
    hosts.append(host)
    assert host.ask("llm_query", "x") == "caller"


def test_an_async_sub_lm_is_awaited_on_a_loop_of_the_runs_own(hosts: list[Host]) -> None:
    async def lm(prompt: str) -> list[str]:
        await asyncio.sleep(0)
        return [f"{prompt} {_marker.get()}"]

    _marker.set("there")
    host = Host(lm=lm)
    hosts.append(host)
    assert host.ask("llm_query_batched", ["a", "b"]) == ["a there", "b there"]


def test_an_async_sub_lm_is_awaited_on_the_callers_loop(hosts: list[Host]) -> None:
    loops: list[Any] = []

    async def lm(prompt: str) -> list[str]:
        loops.append(asyncio.get_running_loop())
        return [prompt]

    async def main() -> None:
        host = Host(lm=lm, loop=asyncio.get_running_loop())
        hosts.append(host)
        future = await asyncio.to_thread(host.begin, "llm_query", "x")
        assert await asyncio.wrap_future(future) == "x"
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(main())


def test_sync_tools_run_one_at_a_time_on_one_thread(hosts: list[Host]) -> None:
    busy, threads = threading.Lock(), set[int]()

    def tool(x: int) -> int:
        threads.add(threading.get_ident())
        assert busy.acquire(blocking=False)
        busy.release()
        return x

    host = Host(tool)
    hosts.append(host)
    assert [future.result(10) for future in [host.begin("tool", x) for x in range(20)]] == list(range(20))
    assert len(threads) == 1


def test_a_tool_marked_concurrent_runs_side_by_side(hosts: list[Host]) -> None:
    together = threading.Barrier(3)

    @concurrent
    def tool(x: int) -> int:
        together.wait(5)
        return x

    host = Host(tool)
    hosts.append(host)
    assert [future.result(10) for future in [host.begin("tool", x=x) for x in range(3)]] == [0, 1, 2]


def test_async_tools_run_without_and_with_a_loop(hosts: list[Host]) -> None:
    async def tool(x: int) -> Any:
        await asyncio.sleep(0)
        return x, asyncio.get_running_loop()

    host = Host(tool)
    hosts.append(host)
    assert host.ask("tool", 3)[0] == 3

    async def main() -> None:
        with_loop = Host(tool, loop=asyncio.get_running_loop())
        hosts.append(with_loop)
        future = await asyncio.to_thread(with_loop.begin, "tool", 4)
        assert await asyncio.wrap_future(future) == (4, asyncio.get_running_loop())

    asyncio.run(main())


def test_a_tool_that_overruns_fails_and_the_next_call_runs(hosts: list[Host]) -> None:
    release = threading.Event()

    def slow(x: int) -> int:
        if x == 0:
            release.wait()
        return x

    async def asleep(x: int) -> int:
        await asyncio.Event().wait()
        return x

    host = Host(slow, asleep, tool_seconds=0.05)
    hosts.append(host)
    assert "the tool slow took longer than 0.05 s" in str(host.error("slow", 0))
    assert host.ask("slow", 1) == 1
    assert "the tool asleep took longer than 0.05 s" in str(host.error("asleep", 1))
    release.set()


def test_arguments_are_validated_by_dspy(hosts: list[Host]) -> None:
    def tool(x: int) -> int:
        return x

    host = Host(tool)
    hosts.append(host)
    assert isinstance(host.error("tool", "abc"), ValueError)


def test_callbacks_are_told_of_tools_and_sub_calls(hosts: list[Host]) -> None:
    seen: list[tuple[str, Any]] = []

    class Callback(dspy.utils.callback.BaseCallback):
        def on_tool_start(self, call_id: str, instance: Any, inputs: Any) -> None:
            seen.append((instance.name, inputs["kwargs"]))

    def tool(x: int) -> int:
        return x

    with dspy.context(callbacks=[Callback()]):
        host = Host(tool, lm=ScriptedLM(["a"]))
    hosts.append(host)
    host.ask("tool", 1)
    host.ask("llm_query", "p")
    assert seen == [("tool", {"x": 1}), ("llm_query", {"prompt": "p", "model": None})]


def test_each_call_is_recorded_with_its_usage(hosts: list[Host]) -> None:
    def tool(x: int) -> str:
        return dspy.settings.lm(str(x))[0]

    lm = ScriptedLM(["a", "b", "c"])
    with dspy.context(lm=lm):
        host = Host(tool, lm=lm)
    hosts.append(host)
    host.ask("llm_query_batched", ["1", "2"])
    host.ask("tool", 3)
    started = [event for event in host.journal.events if isinstance(event, CallStarted)]
    finished = [event for event in host.journal.events if isinstance(event, CallFinished)]
    assert [event.function for event in started] == ["llm_query_batched", "llm_query", "llm_query", "tool"]
    assert [event.batch for event in started] == [None, started[0].call, started[0].call, None]
    assert sorted((event.function, event.usage.calls) for event in finished) == [
        ("llm_query", 1),
        ("llm_query", 1),
        ("llm_query_batched", 2),
        ("tool", 1),
    ]
    assert host.ledger.report().by_role["tool"].calls == 1


def test_cancelling_a_batch_cancels_what_has_not_begun(hosts: list[Host]) -> None:
    release, begun = threading.Event(), list[str]()

    def lm(prompt: str) -> list[str]:
        begun.append(prompt)
        release.wait(5)
        return [prompt]

    host = Host(lm=lm, concurrency=1)
    hosts.append(host)
    batch = host.begin("llm_query_batched", ["a", "b", "c"])
    batch.cancel()
    release.set()
    assert batch.cancelled()
    host.tree.close()
    assert begun in ([], ["a"])
