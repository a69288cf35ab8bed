"""Attempts at LM calls: which faults are tried again, after how long, and that no two layers do it."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import dspy
import pytest

from rlm_module import RLM, Budget, SubcallError
from rlm_module.events import LMCalled
from rlm_module.journal import Journal
from rlm_module.lms.faults import ATTEMPTS, LONGEST_HINT, is_transient, may_be_billed, pause
from rlm_module.lms.ledger import Ledger
from rlm_module.tree import Node, Tree
from tests.fake_interpreter import FakeInterpreter
from tests.model_server import ByAttempt, ModelServer, Outcome, Reply, rate_limited, server_error
from tests.model_server.engines import ENGINES, Engine, lm
from tests.scripted import ScriptedLM, turn

_ASK = turn("try:\n    a = llm_query('ping')\nexcept Exception as error:\n    a = str(error)\nSUBMIT(answer=a)")


class Status(Exception):
    """What HTTP clients raise, by the names that they share."""

    def __init__(self, status_code: int, **headers: str) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code
        self.response = SimpleNamespace(headers={name.replace("_", "-"): value for name, value in headers.items()})


class Legacy(dspy.BaseLM):
    """An LM as dspy had them before: it makes one attempt."""

    def __init__(self, faults: list[BaseException], reply: str = "pong") -> None:
        super().__init__(model="legacy/model", cache=False)
        self.faults = faults
        self.reply = reply
        self.calls = 0

    def forward(self, prompt: str | None = None, messages: Any = None, **kwargs: Any) -> Any:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        message = SimpleNamespace(content=self.reply, tool_calls=None)
        choice = SimpleNamespace(message=message, finish_reason="stop")
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        return SimpleNamespace(choices=[choice], usage=usage, model="legacy/model")

    async def aforward(self, prompt: str | None = None, messages: Any = None, **kwargs: Any) -> Any:
        return self.forward(prompt, messages, **kwargs)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are asked for; none is made."""
    asked: list[float] = []

    def noted(error: BaseException | None, attempt: int) -> float:
        asked.append(pause(error, attempt))
        return 0.0

    monkeypatch.setattr("rlm_module.lms.paid_calls.pause", noted)
    return asked


def _sub_call(prediction: Any) -> LMCalled:
    return next(e for e in prediction.run.events if isinstance(e, LMCalled) and e.role == "sub")


def _ask(sub_lm: Any, *, is_async: bool = False, **options: Any) -> Any:
    rlm = RLM("query -> answer", sub_lm=sub_lm, interpreter_factory=FakeInterpreter, **options)
    with dspy.context(lm=ScriptedLM([_ASK])):
        return asyncio.run(rlm.acall(query="q")) if is_async else rlm(query="q")


def _callable(faults: list[BaseException]) -> Callable[[str], str]:
    def ask(prompt: str) -> str:
        if faults:
            raise faults.pop(0)
        return "pong"

    return ask


def _async_callable(faults: list[BaseException]) -> Any:
    answer = _callable(faults)

    async def ask(prompt: str) -> str:
        return answer(prompt)

    return ask


@pytest.mark.parametrize("make", [_callable, _async_callable, Legacy])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_transient_faults_are_tried_again_and_counted(make: Any, is_async: bool, pauses: list[float]) -> None:
    faults: list[BaseException] = [Status(429, Retry_After="7"), Status(503), TimeoutError()]
    prediction = _ask(make(faults), is_async=is_async)
    assert prediction.answer == "pong"
    assert _sub_call(prediction).attempts == ATTEMPTS == 4
    assert pauses[0] == 7
    assert prediction.usage.by_role["sub"].calls == 1


@pytest.mark.parametrize("make", [_callable, _async_callable, Legacy])
@pytest.mark.usefixtures("pauses")
def test_the_last_attempts_fault_is_told(make: Any) -> None:
    faults: list[BaseException] = [ConnectionResetError("lost")] * 10
    prediction = _ask(make(faults))
    assert "lost" in prediction.answer
    assert len(faults) == 10 - ATTEMPTS
    assert _sub_call(prediction).attempts == ATTEMPTS


@pytest.mark.parametrize("fault", [Status(400), Status(401), Status(404), KeyError("x"), ValueError("y")])
def test_what_would_fail_again_is_tried_once(fault: Exception, pauses: list[float]) -> None:
    prediction = _ask(_callable([fault]))
    assert prediction.answer != "pong"
    assert (_sub_call(prediction).attempts, pauses) == (1, [])


def test_a_legacy_root_is_tried_again_too(pauses: list[float]) -> None:
    rlm = RLM("query -> answer", interpreter_factory=FakeInterpreter)
    with dspy.context(lm=Legacy([Status(500), ConnectionError()], reply=turn("SUBMIT(answer='x')"))):
        prediction = rlm(query="q")
    assert prediction.answer == "x"
    assert len(pauses) == 2
    assert prediction.usage.total.tokens == 5


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.usefixtures("pauses")
def test_attempts_of_dspy_are_not_multiplied(engine: Engine, is_async: bool, retries: int) -> None:
    fault = rate_limited("0") if engine == "lm15" else server_error()
    with ModelServer(lambda request: fault) as server:
        prediction = _ask(lm(server, engine, num_retries=retries), is_async=is_async)
        assert len(server.log().requests) == 1 + retries
    assert prediction.answer.startswith("lm: ")
    assert _sub_call(prediction).attempts == 1


def test_an_attempt_of_dspys_own_that_succeeds_is_one_call() -> None:
    outcomes: tuple[Outcome, ...] = (rate_limited("0"), Reply("pong"))
    with ModelServer(ByAttempt(outcomes)) as server:
        prediction = _ask(lm(server, num_retries=1))
    assert prediction.answer == "pong"
    assert prediction.usage.by_role["sub"].calls == 1


def test_retry_after_is_honoured_up_to_a_minute() -> None:
    assert pause(Status(429, Retry_After="1.5"), 1) == 1.5
    assert pause(Status(429, retry_after="0"), 3) == 0
    assert pause(Status(429, Retry_After="86400"), 1) == LONGEST_HINT == 60
    assert pause(dspy.LMRateLimitError("slow down", model="m", retry_after=3.0), 1) == 3


def test_retry_after_may_be_a_date() -> None:
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 0 < pause(Status(429, Retry_After=soon), 1) <= 30
    assert pause(Status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), 1) == 0


@pytest.mark.parametrize("hint", ["soon", "-1", "nan", "inf", ""])
def test_a_hint_that_is_none_is_passed_over(hint: str) -> None:
    assert 0 <= pause(Status(429, Retry_After=hint), 1) <= 1


def test_pauses_grow_and_are_by_chance() -> None:
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (9, 20)):
        drawn = {pause(None, attempt) for _ in range(50)}
        assert len(drawn) > 1
        assert 0 <= min(drawn) <= max(drawn) <= longest


def test_which_faults_are_transient() -> None:
    class APITimeoutError(Exception): ...

    assert all(map(is_transient, [Status(408), Status(502), APITimeoutError(), ConnectionRefusedError()]))
    assert not any(map(is_transient, [Status(403), dspy.ContextWindowExceededError(model="m"), RuntimeError()]))


def test_which_faults_may_cost_money() -> None:
    assert all(map(may_be_billed, [TimeoutError(), asyncio.CancelledError(), dspy.LMUnexpectedError("x", model="m")]))
    assert not any(map(may_be_billed, [Status(429), ConnectionError(), SubcallError("lm", "x")]))


def test_under_a_budget_a_call_that_may_have_been_billed_is_charged_the_most() -> None:
    prediction = _ask(
        _callable([dspy.LMUnexpectedError("its usage is no number", model="m")]), budget=Budget(tokens=99_999)
    )
    event = _sub_call(prediction)
    assert event.is_estimate
    assert event.usage.completion_tokens == 4_000


def test_a_failure_that_is_already_typed_stays_what_it_is() -> None:
    def refuses(prompt: str) -> str:
        raise SubcallError("refusal", "not that")

    tree = Tree(Journal("run"), Ledger(5), concurrency=1, tool_seconds=1)
    paid = tree.account("sub", Node(tree.ledger.calls)).lm(refuses)
    with pytest.raises(SubcallError, match="refusal: not that"):
        paid("x")
    tree.close()
