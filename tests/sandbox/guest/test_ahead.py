"""Loops of independent calls run ahead of the program, and nobody can tell but by the clock."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from tests.sandbox.repl import PATIENCE, Repl
from tests.sandbox.together import AHEAD, SIX, Together


def _refuse(prompt: Any) -> str:
    if "bad" in str(prompt):
        raise LookupError(f"no {prompt}")
    return f"<{prompt}>"


def _answer(prompt: Any, model: str | None = None) -> str:
    return f"<{prompt}>"


together = Together(_answer)


@pytest.fixture(scope="module")
def session() -> Iterator[Repl]:
    functions = {"ask": together, "say": _refuse, "note": lambda value: None}
    with Repl(functions, ahead=AHEAD, one_by_one=("note",), cell_seconds=20) as repl:
        yield repl


@pytest.fixture
def repl(session: Repl) -> Repl:
    together.expect(1)
    session.calls.clear()
    return session


_INDEPENDENT = {
    "comprehension": "[ask(f'{x}!') for x in range(6)]",
    "append": "out = []\nfor x in range(6):\n    out.append(ask(f'{x}!'))\nout",
    "dict comprehension": "list({x: ask(f'{x}!') for x in range(6)}.values())",
    "item of a dict": "out = {}\nfor x in range(6):\n    out[x] = ask(f'{x}!')\nlist(out.values())",
    "generator expression": "list(ask(f'{x}!') for x in range(6))",
    "join": "' '.join(ask(f'{x}!') for x in range(6)).split()",
    "nested comprehension": "[a for y in (0, 3) for a in [ask(f'{x + y}!') for x in range(3)]]",
    "two fors": "[ask(f'{x + y}!') for y in (0, 3) for x in range(3)]",
    "nested loops": "out = []\nfor y in (0, 2, 4):\n    for x in range(2):\n        out.append(ask(f'{x + y}!'))\nout",
    "a function": "def of(x):\n    return ask(f'{x}!')\n[of(x) for x in range(6)]",
    "a lambda": "of = lambda x: ask(f'{x}!')\n[of(x) for x in range(6)]",
    "a function of a function": """def prompt(x, end='!'):
    \"\"\"Helps.\"\"\"
    return f'{x}' + end
def of(x, *, model=None):
    text = prompt(x).strip()
    try:
        return ask(text, model=model)
    except Exception as error:
        return str(error)
[of(x, model='m') for x in range(6)]""",
    "a closure": "def main():\n    end = '!'\n    def of(x): return ask(f'{x}' + end)\n"
    "    return [of(x) for x in range(6)]\nmain()",
    "locals": "def main(end):\n    out = []\n"
    "    for x in range(6):\n        out.append(ask(f'{x}' + end))\n    return out\n"
    "main('!')",
    "enumerate and zip": "a = list('012345')\n[ask(x + '!') for i, (x, y) in enumerate(zip(a, a))]",
    "items": "d = {i: '!' for i in range(6)}\n[ask(f'{k}{v}') for k, v in d.items()]",
    "a generator of chunks": """text = '0!1!2!3!4!5!'
def chunks(text, size):
    for start in range(0, len(text), size):
        yield text[start:start + size]
[ask(c) for c in chunks(text, 2)]""",
    "a condition on what is known": "[ask(f'{x // 2}!') for x in range(12) if x % 2 == 0]",
    "continue": "out = []\n"
    "for x in range(12):\n    if x % 2:\n        continue\n    out.append(ask(f'{x // 2}!'))\nout",
    "any": "[ask(p) for p in [f'{i}!' for i in range(6)] + ['x'] * 9 if any(w in p for w in ('!', '?'))]",
    "rows that get their answer": "rows = [{'t': f'{i}!'} for i in range(6)]\nfor row in rows:\n"
    "    row['a'] = ask(row['t'])\n[row['a'] for row in rows]",
    "a running total of answers": "total = ''\nfor x in range(6):\n    total += ask(f'{x}!') + ' '\ntotal.split()",
    "progress": "out = []\nfor i, x in enumerate(range(6)):\n    if len(out) % 2 == 0:\n        print(len(out))\n"
    "    out.append(ask(f'{x}!'))\nout",
    "re": "import re\n[ask(m.group(1)) for m in re.finditer(r'(\\d!)', '0! 1! 2! 3! 4! 5!')]",
    "json": "import json\n[ask(json.loads(row)['t']) for row in [json.dumps({'t': f'{i}!'}) for i in range(6)]]",
    "instances": "class Doc:\n    def __init__(self, t): self.t = t\n"
    "[ask(d.t) for d in [Doc(f'{i}!') for i in range(6)]]",
    "a counter": "count = 0\ndef of(x):\n    global count\n    count += 1\n    return ask(f'{x}!')\n"
    "[of(x) for x in range(6)]",
    "the answer decides later": "out = []\n"
    "for x in range(6):\n    a = ask(f'{x}!')\n    if 'z' in a:\n        continue\n"
    "    out.append(a)\nout",
    "a tool before it": "out = []\nfor x in range(6):\n    note(x)\n    out.append(ask(f'{x}!'))\nout",
}


@pytest.mark.parametrize("name", _INDEPENDENT)
def test_independent_calls_are_made_together(repl: Repl, name: str) -> None:
    together.expect(SIX)
    result = repl.run(_INDEPENDENT[name])
    assert result.value == str([f"<{i}!>" for i in range(6)]), result.text
    assert (together.most, result.unused) == (SIX, 0)


_DEPENDENT = {
    "a summary": "s = ''\nfor x in 'abcd':\n    s = say(s + x)\ns",
    "a growing text": "s = ''\nfor x in 'abcd':\n    s += say(s + x)\ns",
    "a history": "h = []\nfor x in 'abcd':\n    h.append(say(str(h) + x))\nh",
    "a history by another name": "h = []\ng = h\nfor x in 'abcd':\n    h.append(say(str(g) + x))\nh",
    "a history in a dict": "d = {'h': []}\nh = d['h']\nfor x in 'abcd':\n    d['h'].append(say(str(h) + x))\nh",
    "a history behind a function": "h = []\ndef of(x):\n    h.append(say(f'{h}{x}'))\n    return h[-1]\n"
    "[of(x) for x in 'abcd']",
    "a history passed to a function": "h = []\ndef of(h, x):\n    h.append(say(f'{h}{x}'))\n"
    "for x in 'abcd':\n    of(h, x)\nh",
    "a counter": "n = 0\ndef of(x):\n    global n\n    n += 1\n    return say(f'{n}{x}')\n[of(x) for x in 'abcd']",
    "a counter of a closure": "def main():\n    n = 0\n    def of(x):\n        nonlocal n\n        n += 1\n"
    "        return say(f'{n}{x}')\n    return [of(x) for x in 'abcd']\nmain()",
    "an iterable that grows": "xs = ['a']\nfor x in xs:\n    if len(xs) < 4:\n        xs.append(say(x))\nxs",
    "an iterator": "xs = iter('abcd')\n[say(x) + next(xs) for x in xs]",
    "break": "for x in 'abcd':\n    if 'b' in say(x):\n        break\nx",
    "return": "def of():\n    for x in 'abcd':\n        if 'b' in say(x):\n            return x\nof()",
    "raise": "for x in 'abcd':\n    say(x)\n    if x == 'c':\n        raise ValueError(x)",
    "SUBMIT": "for x in 'abcd':\n    if 'b' in say(x):\n        SUBMIT(x)",
    "seen": "seen = set()\nfor x in 'abab':\n    if x not in seen:\n        seen.add(x)\n        say(x)\nlen(seen)",
    "a cache": "cache = {}\ndef of(x):\n    if x not in cache:\n        cache[x] = say(x)\n    return cache[x]\n"
    "[of(x) for x in 'abab']",
    "any of answers": "any('b' in say(x) for x in 'abcd')",
    "a lazy generator": "g = (say(x) for x in 'abcd')\nnext(g)",
    "a method of a class": "class A:\n    n = 0\n    def of(self, x):\n"
    "        self.n += 1\n        return say(f'{self.n}{x}')\n"
    "a = A()\n[a.of(x) for x in 'abcd']",
    "a random choice": "import random\nrandom.seed(1)\n[say(random.choice('abcd')) for _ in range(9)]",
    "shuffled": "import random\nrandom.seed(1)\nxs = list('abcd')\n"
    "out = []\nfor i in range(4):\n    random.shuffle(xs)\n"
    "    out.append(say(xs[0]))\nout",
    "a sorted key with calls": "sorted('cab', key=lambda x: say(x))",
    "pop": "todo = list('abcd')\nfor _ in range(4):\n    say(todo.pop())",
    "a shared row": "row = {'t': ''}\nfor r in [row, row, row]:\n    r['t'] = say(r['t'] + 'x')\nrow",
    "an answer as the next prompt": "p = 'a'\nout = []\nfor _ in range(4):\n    p = say(p)\n    out.append(p)\nout",
}


@pytest.mark.parametrize("name", _DEPENDENT)
def test_dependent_calls_are_made_one_after_the_other(repl: Repl, name: str) -> None:
    with Repl({"say": _refuse}) as plain:
        expected = plain.run(_DEPENDENT[name])
        asked = [call.args for call in plain.calls]
    result = repl.run(_DEPENDENT[name])
    assert (result.text.partition(", line")[2], result.final) == (expected.text.partition(", line")[2], expected.final)
    assert (result.value, result.unused) == (expected.value, 0)
    assert [call.args for call in repl.calls] == asked


def test_no_more_calls_wait_than_are_allowed(repl: Repl) -> None:
    together.expect(SIX)
    assert repl.value("len([ask(x) for x in range(SIX)])".replace("SIX", str(SIX * 5))) == str(SIX * 5)
    assert together.most == SIX
    together.expect(1)


def test_an_exception_surfaces_where_the_program_asks_and_the_rest_is_dropped(repl: Repl) -> None:
    result = repl.run("out = []\nfor x in ['a', 'b', 'bad', 'c', 'd', 'e']:\n    out.append(say(x))")
    assert result.error is not None
    assert (result.error.message, result.unused) == ("LookupError: no bad", 3)
    assert "line 3" in result.error.traceback
    assert repl.value("out") == "['<a>', '<b>']"


def test_a_caught_exception_stops_nothing(repl: Repl) -> None:
    code = """out = []
for x in ['a', 'bad', 'c', 'd', 'e', 'f', 'g']:
    try:
        out.append(say(x) + say(x + '2'))
    except Exception as error:
        out.append(str(error))
out"""
    result = repl.run(code)
    assert result.value == str(["<a><a2>", "LookupError: no bad", *(f"<{x}><{x}2>" for x in "cdefg")])
    assert result.unused == 1


def test_what_is_started_and_not_asked_for_is_cancelled() -> None:
    started: list[Future[str]] = []
    dropped = threading.Event()

    def ask(x: int) -> Future[str]:
        future: Future[str] = Future()
        if x == 0:
            future.set_exception(ValueError("the first fails"))
        started.append(future)
        if x == 3:
            future.add_done_callback(lambda _: dropped.set())
        return future

    with Repl({"ask": ask}, ahead=3) as repl:
        code = "try:\n    [ask(x) for x in range(9)]\nexcept Exception:\n    pass\ndone = note(0)"
        repl.run(code.replace("note(0)", "1"))
        assert dropped.wait(PATIENCE)
        assert [future.cancelled() for future in started] == [False, True, True, True]


def test_a_wrong_guess_costs_calls_and_changes_nothing(repl: Repl) -> None:
    code = """rows = [{'t': str(i)} for i in range(30)]
held, out = [], []
for i in range(29):
    out.append(say(rows[i]['t']))
    held.append(rows[i + 1])
    held[-1]['t'] += '!'
out"""
    result = repl.run(code)
    assert result.value == str(["<0>", *(f"<{i}!>" for i in range(1, 29))])
    assert 0 < result.unused <= 2 * AHEAD
    assert len(repl.calls) == 29 + result.unused


def test_an_interrupt_in_a_loop_leaves_the_session_whole() -> None:
    never: list[Future[str]] = []

    def ask(x: int) -> Any:
        if x < 2:
            return f"<{x}>"
        never.append(Future())
        return never[-1]

    with Repl({"ask": ask}, ahead=4, cell_seconds=0.5) as repl:
        pid = repl.pid
        repl.run("kept = [1]")
        result = repl.run("for x in range(9):\n    ask(x)\n    while x == 1:\n        pass")
        assert result.error is not None
        assert result.error.kind == "interrupted"
        assert result.unused == len(never) == 4
        assert repl.value("kept") == "[1]"
        assert repl.pid == pid


def test_a_killed_sandbox_comes_back_with_the_same_answers() -> None:
    functions = {"say": _refuse}
    with Repl(functions, ahead=4) as own:
        own.run("out = []\ntry:\n    for x in ['a', 'bad', 'c', 'd', 'e']:\n        out.append(say(x))\n"
                "except Exception:\n    out += [say(x) for x in 'cde']")  # fmt: skip
        before = len(own.calls)
        os.kill(own.pid, signal.SIGKILL)
        own.error("1 / 0")
        assert own.value("out") == "['<a>', '<c>', '<d>', '<e>']"
        assert len(own.calls) == before


def test_the_program_sees_no_helper(repl: Repl) -> None:
    code = "[say(x) for x in 'ab']\ndef of():\n    return [say(x) for x in 'ab'] and sorted(locals())\n"
    assert repl.value(code + "of(), [n for n in [*globals(), *dir()] if 'ahead' in n]") == "([], [])"
    shown = repl.run("SHOW_VARS()").stdout
    assert "ahead" not in shown


@pytest.mark.parametrize(
    "code",
    [
        "for x in [1, 2, 0]:\n    say(x)\n    print(1 / x)",
        "def of(x):\n    say(x)\n    return {}[x]\n[of(x) for x in range(3)]",
        "[say(x) for x in 5]",
        "for x, y in [(1, 2), (3,)]:\n    say(x)",
        "def g():\n    yield 1\n    raise KeyError('two')\n[say(x) for x in g()]",
        "import traceback\ntry:\n    [say(x) for x in ['a', 'bad']]\nexcept Exception as e:\n"
        "    print([f.lineno for f in traceback.extract_tb(e.__traceback__) if '<cell' in f.filename])",
    ],
)
def test_tracebacks_are_those_of_the_program_as_written(repl: Repl, code: str) -> None:
    with Repl({"say": _refuse}) as plain:
        plain.run("0")
        expected = plain.run(code)
    number = repl.error("1 / 0").traceback.partition("cell ")[2].partition(",")[0]
    assert repl.run(code).text.replace(f"cell {int(number) + 1},", "cell 1,") == expected.text


def test_awaited_calls_and_tasks_are_left_alone(repl: Repl) -> None:
    code = """import asyncio
order = []
async def task(name):
    for x in 'ab':
        order.append(name + say(x))
    await asyncio.sleep(0)
    order.append(name)
await asyncio.gather(task('1'), task('2'))
order, await asyncio.gather(*(say.aio(x) for x in 'ab'))"""
    expected = "(['1<a>', '1<b>', '2<a>', '2<b>', '1', '2'], ['<a>', '<b>'])"
    result = repl.run(code)
    assert (result.value, result.unused) == (expected, 0), result.text


def test_large_prompts_wait_for_room(repl: Repl) -> None:
    result = repl.run("text = 'x' * (1 << 20)\nlen([say(text + str(i)) for i in range(60)])")
    assert (result.value, result.unused) == ("60", 0), result.text
