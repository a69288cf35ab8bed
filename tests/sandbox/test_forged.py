"""A cell that forges frames ends its own process, with a clear error, and costs the host neither time nor memory."""

from __future__ import annotations

import os
import signal
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from rlm_module.sandbox.base import CellResult
from rlm_module.sandbox.frames import Kind
from rlm_module.sandbox.process import DenoProcess
from tests.sandbox.repl import PATIENCE, Repl
from tests.sandbox.watch import is_alive

MIB = 1 << 20
_HELPER = """
from pyodide.code import run_js
run_js('''
globalThis.write = (rest) => { while (rest.length) rest = rest.subarray(Deno.stdout.writeSync(rest)) };
globalThis.frame = (kind, id, body, length = body.length) => {
    const bytes = new Uint8Array(13 + body.length), view = new DataView(bytes.buffer);
    view.setUint8(0, kind); view.setUint32(1, id, true); view.setBigUint64(5, BigInt(length), true);
    bytes.set(body, 13);
    return bytes;
};
globalThis.utf8 = (text) => new TextEncoder().encode(text);
globalThis.call = (id, body) => write(frame(18, id, utf8(body)));
''')
kept = [1]
"""
_FORGED = {
    "raw text": "write(utf8('hello, host'))",
    "zeros": "write(new Uint8Array(100))",
    "invalid UTF-8": "write(new Uint8Array([18, 255, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0]))",
    "an absurd length": "write(frame(17, 1, utf8(''), 2 ** 62))",
    "a length just over the limit": "write(frame(18, 1, utf8(''), (64 << 20) + 1025))",
    "a kind only the host sends": "write(frame(2, 1, utf8('Jnull')))",
    "a second READY": "write(frame(16, 0, utf8('')))",
    "a READY with another id": "write(frame(16, CELL, utf8('')))",
    "an answer to nothing": "write(frame(17, 999, utf8('Jnull')))",
    "an answer to a question answered before": "write(frame(17, 1, utf8('Jnull')))",
    "a result of another shape": "write(frame(17, CELL, utf8('\\0\\0\\0\\0J[1, 2]')))",
    "a result of null": "write(frame(17, CELL, utf8('\\0\\0\\0\\0Jnull')))",
    "a result with wrong types": """write(frame(17, CELL, utf8('\\0\\0\\0\\0J' + JSON.stringify(
        {stdout: 1, stderr: [], value: null, error: null, final: null, unused: 0}))))""",
    "a result with an unknown kind of error": """write(frame(17, CELL, utf8('\\0\\0\\0\\0J' + JSON.stringify(
        {stdout: '', stderr: '', value: null, final: null, unused: 0,
          error: {kind: 'killed', type: '', message: '', traceback: ''}}))))""",
    "a result nested without end": "write(frame(17, CELL, utf8('\\0\\0\\0\\0J' + '['.repeat(1 << 20))))",
    "a result of no length": "write(frame(17, CELL, utf8('')))",
    "a clock that is longer than the result": "write(frame(17, CELL, utf8('\\x7f\\0\\0\\0Jnull')))",
    "a clock without end": "write(frame(17, CELL, new Uint8Array([255, 255, 255, 255, 1])))",
    "a clock over the limit": "write(frame(17, CELL, new Uint8Array([1, 0, 2, 0, ...new Array(131073).fill(0)])))",
    "a result that is no value": "write(frame(17, CELL, new Uint8Array([200, 1, 2])))",
    "a call of a function there is not": """call(7, 'J["os.system", ["id"], {}]')""",
    "a call that is no list": """call(7, 'J{"name": "keep"}')""",
    "a call with positional names": """call(7, 'J["keep", {}, []]')""",
    "a call with a name that is no text": """call(7, 'J[["keep"], [], {}]')""",
    "a call of broken bytes": "write(frame(18, 7, new Uint8Array([255, 255])))",
    "a call nested without end": """call(7, 'J["keep", ' + '['.repeat(1 << 20))""",
    "a call of deep values": """call(7, 'J["keep", [' + '['.repeat(400) + ']'.repeat(400) + '], {}]')""",
    "an empty call": "call(7, '')",
    "two calls with one id": """call(7, 'J["wait", [], {}]'); call(7, 'J["wait", [], {}]')""",
    "a drop of a call that was not made": "write(frame(19, 7, utf8('')))",
    "a drop of a later call": """call(7, 'J["wait", [], {}]'); write(frame(19, 8, utf8('')))""",
    "a drop of an earlier call": """call(7, 'J["wait", [], {}]'); write(frame(19, 6, utf8('')))""",
    "a call dropped twice": """call(7, 'J["wait", [], {}]'); for (const _ of [1, 2]) write(frame(19, 7, utf8('')))""",
    "a hundred thousand drops": """call(7, 'J["keep", [], {}]'); call(9, 'J["keep", [], {}]');
        for (let i = 0; i < 100000; i++) write(frame(19, 8, utf8('')))""",
    "a wait for a call that was not made": "write(frame(21, 7, utf8('')))",
    "a hundred thousand calls started early": """for (let i = 0; i < 100000; i++)
        write(frame(20, 1000 + i, utf8('J["wait", [], {}]')))""",
    "a count of unused calls below zero": """write(frame(17, CELL, utf8('\\0\\0\\0\\0J' + JSON.stringify(
        {stdout: '', stderr: '', value: null, error: null, final: null, unused: -1}))))""",
    "a count of unused calls without end": """write(frame(17, CELL, utf8('\\0\\0\\0\\0J' + JSON.stringify(
        {stdout: '', stderr: '', value: null, error: null, final: null, unused: 2 ** 40}))))""",
    "a hundred thousand calls": """for (let i = 0; i < 100000; i++) call(1000 + i, 'J["wait", [], {}]')""",
    "calls too large together": """const big = 'J["wait", ["' + 'x'.repeat(5 << 20) + '"], {}]';
        for (let i = 0; i < 9; i++) call(1000 + i, big)""",
}


_MOST_IN_FLIGHT = 25 * MIB
_MOST = 100 * MIB  # that, held by this test too, and a frame on its way through


def _functions() -> dict[str, Any]:
    return {"keep": lambda *values: values, "wait": lambda *_: Future[Any]()}


@pytest.fixture(scope="module")
def forger() -> Iterator[Repl]:
    """Outlives many processes: a cell that cost its process is not run again."""
    with Repl(_functions(), cell_seconds=10) as repl:
        repl.run(_HELPER)
        yield repl


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of what the host asks, in order."""
    ids: list[int] = []
    send = DenoProcess.send

    def noting(self: DenoProcess, kind: Kind, frame_id: int, body: bytes = b"") -> None:
        ids.append(frame_id)
        send(self, kind, frame_id, body)

    monkeypatch.setattr(DenoProcess, "send", noting)
    return ids


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("name", _FORGED)
def test_pitfall_37_a_forged_frame_ends_the_process_with_a_clear_error(
    forger: Repl, sent: list[int], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlm_module.sandbox.host_calls._MAX_CALL_BYTES", _MOST_IN_FLIGHT)
    forger.run("0")
    pid, cell = forger.pid, sent[-1] + 1
    result, peak = _measured(forger, f"run_js({_FORGED[name].replace('CELL', str(cell))!r})\nmine = 1")
    assert result.error is not None
    assert (result.error.kind, "broke the protocol" in result.text) == ("killed", True), result.text
    assert forger.value("kept, 1 + 1, 'mine' in globals()") == "([1], 2, False)"
    assert not is_alive(pid)
    assert peak < (_MOST if "too large" in name else 8 * MIB)


def _measured(repl: Repl, code: str) -> tuple[CellResult, int]:
    tracemalloc.start()
    try:
        return repl.run(code), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


_SILENT = {
    "half a header, then silence": "write(utf8('').length ? null : new Uint8Array([17, 3, 0])); while (true) {}",
    "half a body, then silence": "write(frame(17, 3, utf8('J'), 60 << 20)); while (true) {}",
    "half a body, then waiting": "write(frame(17, 3, utf8('J'), 60 << 20)); await new Promise(() => {})",
}


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("name", _SILENT)
def test_pitfall_37_half_a_frame_and_silence_is_ended_by_the_limit(name: str) -> None:
    with Repl(_functions(), cell_seconds=0.5) as repl:
        repl.run(_HELPER)
        error = repl.error(f"await run_js({'(async () => {' + _SILENT[name] + '})()'!r})")
        assert error.kind == "killed"
        assert "0.5 s" in error.message
        assert repl.value("kept") == "[1]"


def test_pitfall_37_frames_sent_between_cells_end_the_process() -> None:
    with Repl(_functions(), cell_seconds=5) as repl:
        repl.run(_HELPER)
        repl.run("""run_js("setTimeout(() => call(7, 'J[\\\\"keep\\\\", [], {}]'), 0)")""")
        results = [repl.run("kept") for _ in range(3)]
        assert results[-1].value == "[1]"
        assert not repl.calls


def test_a_forged_result_is_no_more_than_a_cell_could_print(sent: list[int]) -> None:
    forged = """write(frame(17, CELL, utf8('\\0\\0\\0\\0J' + JSON.stringify(
        {stdout: 'forged', stderr: '', value: null, error: null, final: {output: 1}, unused: 0}))))"""
    with Repl(_functions(), cell_seconds=5) as repl:
        repl.run(_HELPER)
        result = repl.run(f"run_js({forged.replace('CELL', str(sent[-1] + 1))!r})")
        assert (result.stdout, result.final) == ("forged", {"output": 1}), result.text
        results = [repl.run("1 + 1") for _ in range(3)]  # the real result ends the process, and its replay once more
        assert results[-1].value == "2"


def test_answers_that_a_process_does_not_read_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_module.sandbox.process._MAX_UNREAD", 4 * MIB)
    asked: list[Future[str]] = []
    all_asked = threading.Event()

    def ask(_: int) -> Future[str]:
        asked.append(Future())
        if len(asked) == 20:
            all_asked.set()
        return asked[-1]

    with Repl({"ask": ask}, cell_seconds=60) as repl:
        code = "import asyncio\nawait asyncio.gather(*(ask.aio(i) for i in range(20)))"
        running = repl.session.execute(code)
        assert all_asked.wait(PATIENCE)
        os.kill(repl.pid, signal.SIGSTOP)
        for future in asked:
            if future.set_running_or_notify_cancel():  # the last ones are cancelled, as their process is gone
                future.set_result("x" * MIB)
        error = running.result(PATIENCE).error
        assert error is not None
        assert "does not read what it asked for" in error.message
        assert repl.value("1 + 1") == "2"


def test_what_javascript_logs_is_output_and_no_frame(shared: Repl) -> None:
    pid = shared.pid
    result = shared.run(
        "from js import console\nconsole.log('from', 'js', 3)\nconsole.info('x' * 10**6)\nprint('python')"
    )
    assert result.error is None
    assert "from js 3" in result.stdout
    assert "python" in result.stdout
    assert shared.pid == pid
