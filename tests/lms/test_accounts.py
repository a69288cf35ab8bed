"""LM calls as an account makes them: identical ones in flight, what is recorded, and what passes through."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dspy
import pytest

from rlm_module import RLM
from rlm_module.events import LMCalled
from rlm_module.journal import Journal
from rlm_module.lms.accounts import Conversations, PaidLM
from rlm_module.lms.ledger import Ledger
from rlm_module.tree import Node, Tree
from tests.model_server import Gate, ModelServer, Reply, Request
from tests.model_server.engines import ENGINES, Engine, lm
from tests.scripted import ScriptedLM, turn


def _paid(inner: Any, **options: Any) -> tuple[PaidLM, Tree]:
    ledger = Ledger(10)
    tree = Tree(Journal("run"), ledger, concurrency=8, tool_seconds=10)
    return tree.account("sub", Node(ledger.calls), **options).lm(inner), tree


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("cache", "requests"), [(True, 1), (False, 4)])
def test_identical_calls_in_flight_are_made_once_where_the_cache_is_on(
    engine: Engine, cache: bool, requests: int
) -> None:
    gate = Gate()

    def answer(request: Request) -> Reply:
        return Reply("same", gate=gate)

    with ModelServer(answer) as server, ThreadPoolExecutor(4) as threads:
        inner = lm(server, engine, cache=cache)
        paid, tree = _paid(inner)
        replies = [threads.submit(paid, "ask") for _ in range(4)]
        server.wait_until(lambda log: log.in_flight == requests)
        gate.open()
        assert [reply.result(30) for reply in replies] == [["same"]] * 4
        assert len(server.log().requests) == requests
        usage = tree.ledger.report().total
        assert (usage.calls, usage.cached_calls) == (4, 4 - requests)
        tree.close()


def test_a_twin_that_fails_leaves_the_others_to_ask_themselves() -> None:
    replies = iter(["bad", "good", "good"])
    asked = threading.Lock()

    def script(request: Any) -> Any:
        with asked:
            reply = next(replies)
        return dspy.LMServerError("down") if reply == "bad" else reply

    paid, tree = _paid(ScriptedLM(script, cache=True))
    with ThreadPoolExecutor(3) as threads:
        results = [threads.submit(paid, "ask") for _ in range(3)]
    failed = [result for result in results if result.exception() is not None]
    assert len(failed) == 1
    assert [result.result() for result in results if result not in failed] == [["good"]] * 2
    tree.close()


def test_it_passes_for_the_lm_itself() -> None:
    inner = ScriptedLM(["x"], model="some/model", temperature=0.5)
    paid, tree = _paid(inner)
    assert paid.model == "some/model"
    assert paid.kwargs["temperature"] == 0.5
    assert paid.copy(temperature=1.0).kwargs["temperature"] == 1.0
    assert paid.supports_function_calling == inner.supports_function_calling
    assert isinstance(paid, dspy.BaseLM)
    tree.close()


def test_a_call_is_recorded_with_what_was_said() -> None:
    paid, tree = _paid(ScriptedLM(["Paris"]), call=7)
    paid("Capital of France?")
    (event,) = [event for event in tree.journal.events if isinstance(event, LMCalled)]
    assert event.messages[-1]["content"] == "Capital of France?"
    assert (event.reply, event.role, event.call, event.usage.tokens) == ("Paris", "sub", 7, 15)
    tree.close()


def test_a_failed_call_is_recorded_without_the_key_that_its_error_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret-value")
    paid, tree = _paid(ScriptedLM([dspy.LMAuthError("wrong key sk-very-secret-value")]))
    with pytest.raises(dspy.LMAuthError):
        paid("x")
    (event,) = [event for event in tree.journal.events if isinstance(event, LMCalled)]
    assert event.error == "LMAuthError: wrong key [secret]"
    tree.close()


def test_a_conversation_is_recorded_once() -> None:
    told = Conversations()
    one: Any = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})
    two: Any = (*one, {"role": "user", "content": "c"})
    assert told.news(0, "root", one) == (0, one)
    assert told.news(0, "root", two) == (2, two[2:])
    assert told.news(1, "child", two) == (0, two)
    assert told.news(0, "sub", two) == (0, two)
    assert told.news(0, "root", one[:1]) == (1, ())


def test_the_turns_of_a_run_share_their_beginning_in_the_record() -> None:
    with dspy.context(lm=ScriptedLM([turn("print(1)"), turn("SUBMIT(answer='x')")])):
        prediction: Any = RLM("query -> answer")(query="q")
    first, second = [event for event in prediction.run.events if isinstance(event, LMCalled)]
    assert (first.shared, second.shared) == (0, len(first.messages))
    assert [message["role"] for message in second.messages] == ["assistant", "user"]
