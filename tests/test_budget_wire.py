"""Budgets as the model's server sees them: what is sent, what is not asked for any more, and what is settled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dspy
import pytest

from rlm_module import RLM, Budget, FatalError, InputError, Sandbox
from tests.clock import MINUTE, Clock
from tests.fake_interpreter import FakeInterpreter
from tests.model_server import ModelServer, Outcome, Reply, Request, Stall, Usage
from tests.model_server.engines import ENGINES, Engine, lm
from tests.scripted import fields, turn
from tests.staged import Part, Stage, part_of

pytestmark = pytest.mark.timeout(60)

PRICES = {"openai/test-model": (10.0, 30.0)}
_ASK = turn("SUBMIT(answer=llm_query('x'))")
_SPEND = turn("""\
for n in range(40):
    try:
        llm_query(f"{n} " + "word " * 400)
    except Exception as error:
        print(error)""")


@pytest.fixture(autouse=True)
def no_sandbox_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [t for t in set(threading.enumerate()) - before if t.name.startswith(("rlm-interpreter", "rlm-run"))]
    for thread in left:
        thread.join(10)
    assert [thread.name for thread in left if thread.is_alive()] == []


def _rlm(interpreter: Callable[[], Any] = FakeInterpreter, **options: Any) -> RLM:
    return RLM("query -> answer", interpreter_factory=interpreter, **options)


def _run(rlm: RLM, model: Any, *, is_async: bool = False) -> Any:
    with dspy.context(lm=model):
        return asyncio.run(rlm.acall(query="q")) if is_async else rlm(query="q")


def _cap(body: dict[str, Any]) -> Any:
    """The longest reply that is asked for: dspy's own engine sends it to OpenAI under its newer name."""
    return body.get("max_completion_tokens", body.get("max_tokens"))


def _caps(server: ModelServer) -> dict[Part, Any]:
    return {part_of(Request(record.body, 1)): _cap(record.body) for record in server.log().requests}


@pytest.mark.parametrize("engine", ENGINES)
def test_replies_are_capped_by_role_where_spending_is_limited(engine: Engine) -> None:
    stage = Stage({"root": lambda number: Reply(_ASK.replace("SUBMIT", "print") if number == 1 else "no code")})
    budget = Budget(tokens=200_000, root_tokens=9_000, sub_tokens=3_000)
    with ModelServer(stage) as server:
        _run(_rlm(max_iters=2, budget=budget), lm(server, engine))
        assert _caps(server) == {"root": 9_000, "sub": 3_000, "extract": 3_000}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("budget", [Budget(), Budget(seconds=100)])
def test_nothing_is_sent_where_spending_is_not_limited(engine: Engine, budget: Budget) -> None:
    with ModelServer(Stage({"root": lambda _: Reply(_ASK)})) as server:
        _run(_rlm(budget=budget), lm(server, engine))
        requests = server.log().requests
    assert len(requests) == 2
    assert not any(name in record.body for record in requests for name in ("max_tokens", "max_completion_tokens"))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_limit_of_the_lms_own_stays(engine: Engine) -> None:
    with ModelServer(Stage({"root": lambda _: Reply(_ASK)})) as server:
        _run(_rlm(budget=Budget(tokens=99_000)), lm(server, engine, max_tokens=777))
        assert _caps(server) == {"root": 777, "sub": 777}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reasoning_model_is_capped_by_its_own_option(engine: Engine) -> None:
    with ModelServer(Stage({"root": lambda _: Reply(_ASK)})) as server:
        _run(_rlm(budget=Budget(tokens=99_000)), lm(server, engine, model="openai/gpt-5-mini"))
        assert _caps(server) == {"root": 16_000, "sub": 16_000}
        assert not any("max_tokens" in record.body for record in server.log().requests)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("budget", [Budget(tokens=2_000), Budget(cost_usd=0.01, prices=PRICES)])
def test_a_budget_too_small_for_a_turn_is_refused_without_a_request(budget: Budget, is_async: bool) -> None:
    with ModelServer() as server:
        with pytest.raises(InputError, match="too small for one turn") as raised:
            _run(_rlm(budget=budget), lm(server), is_async=is_async)
        assert server.log().requests == ()
    assert str(raised.value).count(". ") == 0
    assert raised.value.partial.usage.total.calls == 0


@pytest.mark.parametrize("where", ["root", "sub_lm", "sub_lms"])
def test_an_unknown_price_is_refused_by_name_without_a_request(where: str) -> None:
    with ModelServer() as server:
        known, unknown = lm(server), lm(server, model="openai/nobody-knows")
        given: dict[str, Any] = {"sub_lm": {"sub_lm": unknown}, "sub_lms": {"sub_lms": {"cheap": unknown}}}
        options = given.get(where, {})
        with pytest.raises(InputError, match=r"openai/nobody-knows.*prices=") as raised:
            _run(_rlm(budget=Budget(cost_usd=1.0, prices=PRICES), **options), unknown if where == "root" else known)
        assert server.log().requests == ()
    assert raised.value.partial.run_id


def _answer_at_length(request: Request) -> Outcome:
    """Replies as long as they may be, as the server counts."""
    part = part_of(request)
    text = {"root": _SPEND, "extract": fields(answer="drawn up")}.get(part, "long " * 50)
    return Reply(text, usage=Usage(request.words, _cap(request.body)))


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(tokens=60_000, root_tokens=3_000, sub_tokens=1_000), "budget:tokens"),
        (Budget(cost_usd=1.0, prices=PRICES, root_tokens=3_000, sub_tokens=1_000), "budget:cost"),
    ],
)
def test_no_more_is_settled_than_was_given_and_an_answer_is_drawn_up(
    budget: Budget, reason: str, is_async: bool
) -> None:
    with ModelServer(_answer_at_length) as server:
        prediction = _run(_rlm(budget=budget), lm(server), is_async=is_async)
        asked = [part_of(Request(record.body, 1)) for record in server.log().requests]
    assert (prediction.answer, prediction.termination_reason) == ("drawn up", reason)
    assert asked[-1] == "extract"
    assert budget.tokens is None or 0.5 * budget.tokens < prediction.usage.total.tokens <= budget.tokens
    assert budget.cost_usd is None or 0.5 * budget.cost_usd < prediction.cost_usd <= budget.cost_usd


def test_many_sub_calls_at_once_stay_within_the_budget() -> None:
    batch = turn("got = llm_query_batched([f'{n} ' + 'word ' * 400 for n in range(60)])\nprint(sum(map(bool, got)))")

    def answer(request: Request) -> Outcome:
        reply = _answer_at_length(request)
        assert isinstance(reply, Reply)
        return Reply(batch, usage=reply.usage) if part_of(request) == "root" else reply

    budget = Budget(tokens=60_000, root_tokens=3_000, sub_tokens=1_000)
    with ModelServer(answer) as server:
        prediction = _run(_rlm(budget=budget, max_llm_calls=500), lm(server))
    assert prediction.termination_reason == "budget:tokens"
    assert prediction.usage.total.tokens <= 60_000
    assert prediction.usage.by_role["sub"].calls > 5


def test_a_cell_reads_what_is_left_and_the_model_is_told_when_it_is_little() -> None:
    spend = turn("left = budget()\nfor n in range(22): llm_query(str(n))\nprint(left, budget())")

    def answer(request: Request) -> Outcome:
        reply = _answer_at_length(request)
        assert isinstance(reply, Reply)
        if part_of(request) != "root":
            return reply
        return Reply(spend if "[Turn 1 of" in request.said else turn("SUBMIT(answer='x')"), usage=reply.usage)

    budget = Budget(tokens=40_000, root_tokens=3_000, sub_tokens=1_000)
    with ModelServer(answer) as server:
        prediction = _run(_rlm(budget=budget), lm(server))
        second = Request(server.log().requests[-1].body, 1)
    before, after = (eval(part + "}") for part in prediction.trajectory[0]["output"].split("}")[:2])
    assert before["tokens"] - after["tokens"] > 22_000
    assert (before["sub_calls"], after["sub_calls"], before["cost_usd"]) == (50, 28, None)
    assert "Little of the budget is left" in second.said


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("what", ["root", "sub", "spin"])
def test_the_time_of_a_run_ends_whatever_stalls(what: str, is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    code = {"sub": "print('asked')\nllm_query('x')", "spin": "while True: pass"}.get(what, "")
    first, later = Reply(turn("print('found 42')\nleap()")), Reply(turn(code)) if code else Stall()
    stage = Stage({"root": lambda number: first if number == 1 else later, "sub": lambda _: Stall()})
    rlm = _rlm(Sandbox, budget=MINUTE, tools=[Clock(monkeypatch).leaping(left=MINUTE.extract_seconds + 1.5)])
    with ModelServer(stage) as server:
        prediction = _run(rlm, lm(server, num_retries=0), is_async=is_async)
    assert (prediction.answer, prediction.termination_reason) == ("drawn up", "budget:seconds")
    assert prediction.trajectory[0]["output"] == "found 42"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_extraction_that_stalls_ends_with_the_record(is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage({"root": lambda _: Reply(turn("print('found 42')\nleap()")), "extract": lambda _: Stall()})
    rlm = _rlm(budget=MINUTE, max_iters=1, tools=[Clock(monkeypatch).leaping(left=0.3)])
    with ModelServer(stage) as server, pytest.raises(FatalError) as raised:
        _run(rlm, lm(server, num_retries=0), is_async=is_async)
    assert raised.value.partial.trajectory[0]["output"] == "found 42"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_first_turn_that_stalls_is_fatal(is_async: bool) -> None:
    stage = Stage({"root": lambda _: Stall()})
    with ModelServer(stage) as server, pytest.raises(FatalError, match="first turn") as raised:
        _run(_rlm(budget=Budget(seconds=0.5)), lm(server, num_retries=0), is_async=is_async)
    assert raised.value.partial.termination_reason == "error"
