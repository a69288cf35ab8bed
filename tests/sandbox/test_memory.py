"""No cell takes more memory than it may, of the sandbox or of the host; and inputs that cannot fit are refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rlm_module.errors import InputError
from rlm_module.sandbox.deno import DenoSession
from rlm_module.sandbox.memory import need, resident
from rlm_module.sandbox.process import DenoProcess
from rlm_module.sandbox.record import Record
from tests.sandbox.repl import Repl

MIB = 1 << 20


@pytest.fixture(scope="module")
def small() -> Iterator[Repl]:
    with Repl(memory_mb=128, cell_seconds=30, max_output_chars=1000) as repl:
        repl.run("kept = 'safe'")
        yield repl


def _peak(work: Callable[[], Any]) -> int:
    """Most bytes of this process's Python objects that were held at once while it worked."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("bytearray(2**30)", "MemoryError"),
        ("bytearray(8 * 2**30)", "OverflowError"),  # longer than a pointer of WebAssembly can count
        ("rows = []\nwhile True: rows.append(' ' * 10**6 + str(len(rows)))", "MemoryError"),
        ("'x' * 10**9", "MemoryError"),
        ("2**(10**10)", "MemoryError"),
    ],
)
def test_pitfall_14_too_much_memory_is_an_error_of_the_cell(small: Repl, code: str, kind: str) -> None:
    pid = small.pid
    error = small.error(code)
    assert (error.kind, error.type) == ("exception", kind)
    small.run("rows = None")
    assert (small.value("kept"), small.pid) == ("'safe'", pid)


def test_pitfall_14_a_runaway_print_is_cut_at_the_source_with_its_true_length(shared: Repl) -> None:
    texts: list[str] = []
    peak = _peak(lambda: texts.append(shared.run("print('x' * 10**8)\nprint('the end')").stdout))
    assert texts[0].startswith("x" * 50_000)
    assert texts[0].endswith("xx\nthe end\n")
    assert "of 100,000,009 characters omitted" in texts[0]
    assert len(texts[0]) < 100_100
    assert peak < 8 * MIB


def test_every_channel_of_output_is_cut(small: Repl) -> None:
    result = small.run("import sys\nfor i in range(10**5): print(i)\nprint('e' * 10**6, file=sys.stderr)\n'v' * 10**6")
    for text, length in ((result.stdout, "588,890"), (result.stderr, "1,000,001"), (result.value or "", "1,000,002")):
        assert f"of {length} characters omitted" in text
        assert len(text) < 1100
    assert result.stdout.startswith("0\n1\n")
    assert result.stdout.endswith("99998\n99999\n")
    error = small.error("raise ValueError('m' * 10**6)")
    assert len(error.message) + len(error.traceback) < 10_000
    assert "of 1,000,000 characters omitted" in error.message


def test_pitfall_14_a_flood_on_the_process_own_stderr_blocks_nothing(small: Repl) -> None:
    flood = (
        "from pyodide.code import run_js\nrun_js('for (let i = 0; i < 1000; i++) console.error(\"x\".repeat(1000))')"
    )
    assert _peak(lambda: small.value(flood)) < 2 * MIB
    assert small.value("kept") == "'safe'"


def test_pitfall_14_typed_arrays_that_outgrow_the_cap_get_the_process_killed() -> None:
    with Repl(memory_mb=64, cell_seconds=30) as tiny:
        tiny.run("kept = 1")
        code = "run_js('const a = []; while (true) a.push(new Uint8Array(1 << 22).fill(1))')"
        result = tiny.run(f"from pyodide.code import run_js\n{code}")
        assert result.error is not None
        assert (result.error.kind, result.error.type) == ("killed", "MemoryError"), result.text
        assert tiny.value("kept") == "1"
        assert resident(tiny.pid) < 400 * MIB


def test_a_hundred_megabytes_of_text_arrive_whole_and_cost_the_host_no_copy(shared: Repl) -> None:
    text = "line of text\n" * (100 * MIB // 13)
    assert _peak(lambda: shared.load(text=text)) < 20 * MIB
    assert shared.value("len(text), text[-13:]") == repr((len(text), text[-13:]))
    shared.run("del text")


@pytest.mark.parametrize(
    ("value", "mib"),
    [
        ("a" * (45 * MIB), 138),
        ("a" * (10 * MIB) + "\U0001f600", 98),
        ("é" * (30 * MIB), 138),
        (b"a" * (45 * MIB), 138),
        ({"part": ["a" * (45 * MIB)]}, 138),
    ],
    ids=["ascii", "one wide character", "two bytes each", "bytes", "nested"],
)
def test_an_input_that_cannot_fit_is_refused_before_anything_is_sent(
    small: Repl, value: object, mib: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (need(value) + 48 * MIB) >> 20 == mib

    def send_chunks(*_: object) -> None:
        raise AssertionError("something was sent")

    monkeypatch.setattr(DenoProcess, "send_chunks", send_chunks)
    if mib <= 128:
        with pytest.raises(AssertionError, match="something was sent"):
            small.load(document=value)
        return
    with pytest.raises(InputError, match=rf"'document' .* {mib} MiB in the sandbox, .* 128"):
        small.load(document=value)


def test_an_input_that_contains_itself_is_refused(small: Repl) -> None:
    circle: list[Any] = ["text"]
    circle += [circle, {"items": circle}]
    with pytest.raises(InputError, match="'circle': the value is nested too deeply or contains itself"):
        small.load(circle=circle)


def test_a_record_with_a_field_named_as_a_method_is_measured_and_loaded(small: Repl) -> None:
    record = Record("Order", {"items": ["a" * 1000], "values": 2})
    assert need(record) == 2 * (1000 + len("items") + len("values"))
    small.load(order=record)
    assert small.value("len(order.items[0]), order['values']") == "(1000, 2)"


def test_an_input_that_fits_alone_but_not_beside_the_rest_is_refused_by_name(small: Repl) -> None:
    small.load(first="a" * (30 * MIB))
    with pytest.raises(InputError, match=r"'second' cannot be loaded .*memory"):
        small.load(second="a" * (38 * MIB))
    assert small.value("len(first) >> 20, kept") == "(30, 'safe')"
    small.run("del first")


@pytest.mark.parametrize("limits", [{"memory_mb": 63}, {"memory_mb": 4097}, {"max_output_chars": 0}])
def test_a_size_that_makes_no_sense_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(limits))):
        DenoSession(**limits)
