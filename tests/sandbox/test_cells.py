"""Cells behave as a notebook's do, and what crosses between host and cell is exact."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings

from rlm_module.sandbox.frames import Kind
from rlm_module.sandbox.process import DenoProcess
from tests.sandbox.repl import PATIENCE, Repl
from tests.sandbox.values import shape, values


def test_pitfall_01_an_input_is_sent_once_and_its_changes_stay(repl: Repl, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[Kind, int]] = []
    send, send_chunks = DenoProcess.send, DenoProcess.send_chunks

    def noting_send(self: DenoProcess, kind: Kind, frame_id: int, body: bytes = b"") -> None:
        sent.append((kind, len(body)))
        send(self, kind, frame_id, body)

    async def noting_chunks(self: DenoProcess, kind: Kind, frame_id: int, length: int, chunks: Iterable[bytes]) -> None:
        sent.append((kind, length))
        await send_chunks(self, kind, frame_id, length, chunks)

    monkeypatch.setattr(DenoProcess, "send", noting_send)
    monkeypatch.setattr(DenoProcess, "send_chunks", noting_chunks)
    repl.load(text="line\n" * 2_000_000, rows=[1])
    assert repl.value("rows.append(len(text)); rows") == "[1, 10000000]"
    assert repl.value("rows") == "[1, 10000000]"
    assert [kind for kind, _ in sent] == [Kind.LOAD, Kind.LOAD, Kind.CELL, Kind.CELL]
    assert max(length for kind, length in sent if kind is Kind.CELL) < 100


def test_pitfall_02_integers_above_2_53_and_whole_floats_stay_exact(shared: Repl) -> None:
    final = shared.run("SUBMIT([2**60 + 1, 1.0, -0.0, 10**500])").final
    assert shape(final) == shape({"output": [2**60 + 1, 1.0, -0.0, 10**500]})
    assert shared.value("type(keep(1.0)).__name__, keep(2**60 + 1) - 2**60") == "('float', 1)"
    assert shape(shared.calls[-1].args) == shape((2**60 + 1,))


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("{1, 2}", {1, 2}),
        ("b'\\xff'", b"\xff"),
        ("__import__('decimal').Decimal('1.10')", Decimal("1.10")),
        ("__import__('datetime').date(2024, 2, 29)", dt.date(2024, 2, 29)),
        ("float('nan')", float("nan")),
        ("'\\ud800\\udc00'", "\ud800\udc00"),
        ("{(1, 2): {'$': None}}", {(1, 2): {"$": None}}),
    ],
    ids=["set", "bytes", "Decimal", "date", "nan", "surrogates", "keys"],
)
def test_pitfall_03_any_plain_value_can_be_submitted(shared: Repl, code: str, value: Any) -> None:
    assert shape(shared.run(f"SUBMIT({code})").final) == shape({"output": value})


def test_pitfall_03_what_json_lacks_ends_no_session(shared: Repl) -> None:
    assert shared.value("10**20") == str(10**20)
    error = shared.error("raise ValueError({1}, object, b'x')")
    assert (error.kind, error.type) == ("exception", "ValueError")
    error = shared.error("SUBMIT(lambda: 1)")
    assert (error.type, error.message[:6]) == ("TypeError", "SUBMIT")
    assert "function" in error.message
    assert "pass str, numbers" in error.message
    assert "unprintable" in shared.error("class Odd(Exception):\n def __str__(self): 1/0\nraise Odd").message
    assert shared.error("class Shy:\n def __repr__(self): 1/0\nShy()").type == "ZeroDivisionError"
    assert shared.value("1 + 1") == "2"


def test_a_submission_too_long_to_leave_is_an_error_of_the_cell(shared: Repl) -> None:
    result = shared.run("print('kept'); SUBMIT('x' * (65 << 20))")
    assert (result.final, result.stdout) == (None, "kept\n")
    assert "submit at most" in result.text


def test_pitfall_04_nothing_printed_is_lost_and_the_order_is_kept(shared: Repl) -> None:
    result = shared.run("import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c')\n40 + 2")
    assert (result.stdout, result.stderr, result.value) == ("a\nc\n", "b\n", "42")
    assert result.text == "a\nc\nb\n42"
    failed = shared.run("print('before')\ndef inner():\n    return [] [0]\ninner()")
    assert failed.text.splitlines() == [
        "before",
        "Traceback (most recent call last):",
        f"  cell {_cell(failed.text)}, line 4, in <module>: inner()",
        f"  cell {_cell(failed.text)}, line 3, in inner: return [] [0]",
        "IndexError: list index out of range",
    ]
    submitted = shared.run("print('said')\nSUBMIT('done')")
    assert (submitted.stdout, submitted.final) == ("said\n", {"output": "done"})


def _cell(text: str) -> str:
    return text.partition("  cell ")[2].partition(",")[0]


def test_pitfall_04_text_that_javascript_prints_is_kept_too(shared: Repl) -> None:
    result = shared.run(
        "import os, sys\nprint('python')\nos.write(1, b'descriptor\\n')\nsys.__stdout__.write('real\\n')"
    )
    assert {"python", "descriptor", "real"} <= set(result.stdout.split())


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("{3}", "{3}"),
        ("0", "0"),
        ("[]", "[]"),
        ("''", "''"),
        ("False", "False"),
        ("{'a': 1}.keys()", "dict_keys(['a'])"),
        ("__import__('datetime').date(2024, 2, 29)", "datetime.date(2024, 2, 29)"),
        ("range(3)", "range(0, 3)"),
    ],
)
def test_pitfall_05_a_last_value_is_shown_as_its_repr(shared: Repl, code: str, shown: str) -> None:
    assert shared.value(code) == shown


def test_a_last_none_an_assignment_and_an_empty_cell_show_nothing(shared: Repl) -> None:
    assert [shared.value(code) for code in ("None", "x = 3", "", "# only a comment", "print()")] == [None] * 5
    assert shared.value("5;") == "5"


def test_pitfall_06_a_failed_cell_keeps_what_it_set(shared: Repl) -> None:
    assert shared.error("first = 1\nsecond = undefined_name").type == "NameError"
    assert shared.value("first") == "1"


def test_pitfall_06_functions_see_what_later_cells_define(shared: Repl) -> None:
    shared.run("import math\ndef outer():\n    def inner(): return later_name(math.pi)\n    return inner()")
    shared.run("def later_name(x): return round(x, 2)")
    assert shared.value("outer()") == "3.14"
    shared.run("from __future__ import annotations\nclass Shape:\n    sides: int = 4")
    assert shared.value("[Shape.sides for _ in range(2)], Shape.__module__") == "([4, 4], '__main__')"


def test_a_traceback_shows_the_frames_of_other_cells_and_no_others(shared: Repl) -> None:
    shared.run("def fail(depth):\n    return fail(depth - 1) if depth else int('no')")
    traceback = shared.error("fail(20)").traceback
    assert "line 2, in fail" in traceback
    assert "frames omitted" in traceback
    assert "prelude" not in traceback
    assert len(traceback.splitlines()) < 15


def test_pitfall_07_a_bare_except_does_not_swallow_submit(shared: Repl) -> None:
    result = shared.run("try:\n    SUBMIT(1)\nexcept:\n    print('swallowed')\nSUBMIT(2)\n")
    assert (result.final, result.stdout, result.error) == ({"output": 1}, "swallowed\n", None)
    assert shared.run("try:\n    SUBMIT(3)\nexcept Exception:\n    print('never')").stdout == ""
    assert shared.run("SUBMIT(4) if False else 1").final is None


@pytest.mark.parametrize(
    "code", ["exit()", "quit()", "import sys; sys.exit()", "raise SystemExit(3)", "import os; os._exit(0)"]
)
def test_pitfall_07_exit_is_an_error_in_the_cell(shared: Repl, code: str) -> None:
    shared.run("here = 'still'")
    error = shared.error(code)
    assert (error.kind, "SUBMIT" in error.message) in {("exception", True), ("killed", False)}
    assert shared.value("here") == "'still'"


def test_pitfall_07_input_is_refused_with_a_message(shared: Repl) -> None:
    error = shared.error("name = input('name? ')")
    assert (error.type, error.message.partition(":")[0]) == ("RuntimeError", "input() is not available")


class Author(pydantic.BaseModel):
    name: str
    born: dt.date


@dataclasses.dataclass
class Book:
    title: str
    authors: tuple[Author, ...]


def test_pitfall_10_models_read_by_attribute_and_key_and_the_rest_keeps_its_type(shared: Repl) -> None:
    shared.load(book=Book("Notes", (Author(name="Ada", born=dt.date(1815, 12, 10)),)), when=dt.datetime(2024, 1, 1, 9))
    assert shared.value("book.title, book['title'], type(book.authors).__name__") == "('Notes', 'Notes', 'tuple')"
    assert shared.value("book.authors[0].name, book['authors'][0]['born'].year") == "('Ada', 1815)"
    assert shared.value("(when + __import__('datetime').timedelta(days=31)).month") == "2"
    assert (
        shared.value("book") == "Book(title='Notes', authors=(Author(name='Ada', born=datetime.date(1815, 12, 10)),))"
    )


@settings(max_examples=60)
@given(value=values)
def test_every_value_stays_exact_through_load_and_call(shared: Repl, value: Any) -> None:
    shared.load(value=value)
    result = shared.run("back = keep(value)")
    assert result.error is None, result.text
    assert shape(shared.calls[-1].args[0]) == shape(value), "as the sandbox holds it"
    assert shared.run("SUBMIT([back])").final is not None


def test_a_deep_value_crosses_both_ways(shared: Repl) -> None:
    value: Any = {1: "x"}
    for _ in range(70):
        value = {1: (value,)}
    shared.load(value=value)
    shared.run("kept = keep(value)")
    assert shape(shared.calls[-1].args[0]) == shape(value)
    assert "deeply" in shared.error("for _ in range(200): value = [value]\nkeep(value)").message


def test_top_level_await_gather_and_asyncio_run_work(shared: Repl) -> None:
    shared.run("import asyncio\nasync def double(x):\n    await asyncio.sleep(0)\n    return 2 * x")
    assert shared.value("await double(4)") == "8"
    assert shared.value("await asyncio.gather(*map(double, range(3)))") == "[0, 2, 4]"
    assert shared.value("asyncio.run(double(5))") == "10"
    assert shared.value("[await double(i) for i in (1, 2)]") == "[2, 4]"
    assert shared.error("async def boom(): raise KeyError('k')\nawait boom()").type == "KeyError"


def test_a_task_that_a_cell_leaves_behind_does_not_outlive_it(shared: Repl) -> None:
    shared.run("import asyncio\nticks = []\nasync def tick():\n    while True: ticks.append(await asyncio.sleep(0))")
    shared.run("task = asyncio.ensure_future(tick())\nawait asyncio.sleep(0)")
    shared.run("before = len(ticks)\nfor _ in range(5): await asyncio.sleep(0)")
    assert shared.value("len(ticks) - before <= 1, task.done()") == "(True, True)"


def test_show_vars_lists_the_models_own_variables(shared: Repl) -> None:
    shared.run("listed = [1, 2]\n_hidden = 1\nimport json")
    lines = shared.run("SHOW_VARS()").stdout.splitlines()
    assert "listed: list, 2 items" in lines
    assert not [line for line in lines if line.startswith(("_hidden", "json", "SUBMIT", "keep"))]


def test_source_that_is_odd_but_python_runs(shared: Repl) -> None:
    assert shared.value("'é\U0001f600'\r\n") == "'é😀'"
    assert shared.value("'\ud800'") == "'\ufffd\ufffd\ufffd'", "code is UTF-8; only values may hold a lone surrogate"
    assert shared.error("a = 1\0").kind in {"exception", "syntax"}
    assert shared.error("(" * 5000).kind in {"exception", "syntax", "killed"}
    assert shared.value("1 + 1") == "2"


def test_a_cells_future_reports_the_time_it_took(shared: Repl) -> None:
    result = shared.session.execute("import time; time.sleep(0.1)").result(PATIENCE)
    assert 0.1 <= result.seconds < PATIENCE
