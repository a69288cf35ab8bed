"""Generated code calls the host from wherever Python may be, and every call gets its own answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from rlm_module.errors import SubcallError
from tests.sandbox.repl import Repl


class Later:
    """Answers a batch of calls together, in reverse, once all of them wait."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.waiting: list[tuple[Any, Future[Any]]] = []

    def __call__(self, value: Any) -> Future[Any]:
        self.waiting.append((value, Future()))
        future = self.waiting[-1][1]
        if len(self.waiting) == self.size:
            waiting, self.waiting = self.waiting, []
            for asked, answer in reversed(waiting):
                answer.set_result(asked * 10)
        return future


def _fail(text: str) -> Any:
    raise LookupError(text)


def _batch() -> list[Any]:
    return ["fine", SubcallError("refusal", "it said no")]


def _raise_subcall() -> Any:
    raise SubcallError("context_window", "too long")


def _on_thread(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    threading.Thread(target=future.set_result, args=(value,)).start()
    return future


@pytest.fixture(scope="module")
def host() -> Iterator[Repl]:
    functions = {
        "times": lambda value: value * 10,
        "later": Later(6),
        "on_thread": _on_thread,
        "never": lambda: Future[Any](),
        "fail": _fail,
        "batch": _batch,
        "subcall": _raise_subcall,
        "foreign": lambda: Foreign(),
        "big": lambda size: "é" * size,
    }
    with Repl(functions, cell_seconds=10) as repl:
        repl.run("import asyncio")
        yield repl


class Foreign:
    def __str__(self) -> str:
        return "a foreign thing"


@pytest.mark.parametrize(
    ("where", "code", "value"),
    [
        ("sorted", "sorted([3, 1, 2], key=lambda x: times(x))", "[1, 2, 3]"),
        ("generator", "def rows():\n    for i in range(3): yield times(i)\nlist(rows())", "[0, 10, 20]"),
        ("comprehension", "[times(i) for i in range(3)]", "[0, 10, 20]"),
        ("class body", "class A:\n    x = times(2)\nA.x", "20"),
        ("dunder", "class B:\n    def __len__(self): return times(1)\nlen(B())", "10"),
        ("thread-free map", "list(map(times, (1, 2)))", "[10, 20]"),
        ("sync function in a task", "def sync(): return times(4)\nasync def go(): return sync()\nawait go()", "40"),
        ("task", "async def go(x): return times(x)\nawait asyncio.gather(go(1), go(2))", "[10, 20]"),
        ("asyncio.run", "async def go(): return times(5)\nasyncio.run(go())", "50"),
        ("except", "try: 1 / 0\nexcept ZeroDivisionError: x = times(6)\nx", "60"),
        ("finally", "try: pass\nfinally: y = times(7)\ny", "70"),
        ("other thread answers", "on_thread('done')", "'done'"),
        ("deep recursion", "def down(n): return down(n - 1) if n else times(1)\ndown(100)", "10"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 25 else "",
)
def test_a_plain_call_waits_wherever_python_is(host: Repl, where: str, code: str, value: str) -> None:
    assert host.value(code) == value


def test_awaited_calls_are_in_flight_together_and_keep_their_answers(host: Repl) -> None:
    code = "await asyncio.gather(*(later.aio(i) for i in range(6)))"
    assert host.value(code) == "[0, 10, 20, 30, 40, 50]"


def test_a_plain_call_waits_while_awaited_ones_are_in_flight(host: Repl) -> None:
    code = """
async def mixed():
    tasks = [asyncio.ensure_future(later.aio(i)) for i in range(5)]
    await asyncio.sleep(0)
    return later(5), await asyncio.gather(*tasks)
await mixed()"""
    assert host.value(code) == "(50, [0, 10, 20, 30, 40])"


def test_more_awaited_calls_than_may_be_in_flight_take_turns(host: Repl) -> None:
    assert host.value("sum(await asyncio.gather(*(times.aio(1) for _ in range(1500))))") == "15000"


def test_as_completed_and_wait_for_work_on_calls(host: Repl) -> None:
    code = "sorted([await t for t in asyncio.as_completed([times.aio(i) for i in (3, 1)])])"
    assert host.value(code) == "[10, 30]"
    lonely = """
try:
    await asyncio.wait_for(never.aio(), 0.01)
except TimeoutError:
    print('gave up')
"""
    assert host.run(lonely).stdout == "gave up\n"
    assert host.value("times(1)") == "10"


def test_an_error_of_the_host_is_raised_where_the_call_stands(host: Repl) -> None:
    assert host.run("try: fail('gone')\nexcept RuntimeError as e: print(e)").stdout == "LookupError: gone\n"
    assert host.run("try: await fail.aio('gone')\nexcept RuntimeError as e: print(e)").stdout == "LookupError: gone\n"
    error = host.error("fail('no such page')")
    assert (error.kind, error.message) == ("exception", "LookupError: no such page")


def test_a_failed_subcall_is_falsy_and_refuses_to_be_text(host: Repl) -> None:
    host.run("good, bad = batch()")
    assert host.value("bool(bad), bad.kind, bad.message, [r for r in (good, bad) if r]") == (
        "(False, 'refusal', 'it said no', ['fine'])"
    )
    for use in ("bad + 'x'", "'x' + bad", "len(bad)", "list(bad)", "bad[0]", "'no' in bad", "''.join([bad])"):
        assert host.error(use).type == "TypeError", use
    assert host.error("subcall()").type == "SubcallError"
    assert host.run("try: subcall()\nexcept Exception as e: print(e.kind)").stdout == "context_window\n"


def test_wrong_arguments_fail_in_the_cell(host: Repl) -> None:
    assert "positional argument" in host.error("times()").message
    assert "cannot cross" in host.error("times(print)").message
    assert "deeply" in host.error("x = []\nx.append(x)\ntimes(x)").message
    assert host.value("times('ab')") == repr("ab" * 10)


def test_an_argument_too_long_to_leave_is_refused_in_the_cell(host: Repl) -> None:
    before = len(host.calls)
    assert "pass at most" in host.error("times('x' * (65 << 20))").message
    assert len(host.calls) == before


def test_answers_of_any_size_and_foreign_type_arrive(host: Repl) -> None:
    assert host.value("[len(big(n)) for n in (0, 1, 131_000, 131_072, 3_000_000)]") == "[0, 1, 131000, 131072, 3000000]"
    assert host.value("len(await big.aio(3_000_000))") == "3000000"
    assert host.value("foreign()") == "'a foreign thing'"


def test_a_call_names_its_cell_and_help_shows_its_signature(host: Repl) -> None:
    host.run("times(1)")
    first = host.calls[-1].cell
    host.run("times(1)")
    assert host.calls[-1].cell == first + 1
    assert host.value("times") == "'<host function times(*args, **kwargs)>'"[1:-1]


def test_a_hundred_sequential_calls_keep_their_order(host: Repl) -> None:
    before = len(host.calls)
    assert host.value("[times(i) for i in range(100)] == [10 * i for i in range(100)]") == "True"
    assert [call.args[0] for call in host.calls[before:]] == list(range(100))
