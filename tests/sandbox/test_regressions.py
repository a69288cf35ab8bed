"""What once broke, by what broke."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

import pytest

from rlm_module.sandbox.base import Setup
from rlm_module.sandbox.codec import CodecError, decode, encode
from rlm_module.sandbox.deno import DenoSession
from tests.sandbox.repl import PATIENCE, Repl


class Unprintable(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")


class Unsendable:
    def __str__(self) -> NoReturn:
        raise Unprintable


def children() -> set[str]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for task in tasks for pid in task.read_text().split()}


def test_errors_and_values_that_have_no_text_are_still_answers() -> None:
    def fail() -> NoReturn:
        raise Unprintable

    with Repl({"fail": fail, "give": Unsendable}) as repl:
        assert "Unprintable" in repl.error("fail()").message
        assert "Unsendable" in repl.error("give()").message
        assert repl.value("1 + 1") == "2"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts children the way Linux shows them")
def test_closing_while_it_starts_leaves_no_process() -> None:
    before = children()
    for spins in range(0, 40_000, 4_000):
        session = DenoSession()
        starting = session.start(Setup(), lambda call: pytest.fail(str(call)))
        for _ in range(spins):  # a little later each time
            os.getpid()
        session.close()
        assert starting.exception(PATIENCE) is not None or session.pid is None
        assert children() <= before


@pytest.mark.parametrize("kind", ["tuple", "set", "frozenset", "dict"])
def test_a_collection_of_an_endless_range_is_refused_unwalked(kind: str) -> None:
    hostile = json.dumps({"$": kind, "v": {"$": "range", "v": [0, 10**12, 1]}})
    with pytest.raises(CodecError):
        decode(b"X" + hostile.encode())


def test_named_tuples_without_end_cost_no_type_each() -> None:
    many = json.dumps([{"$": "named", "v": [f"T{n}", ["x"], [n]]} for n in range(2_000)])
    found = decode(b"X" + many.encode())
    assert found[-1] == (1_999,)
    assert len({type(item) for item in found}) <= 257


def test_what_cells_keep_of_a_stream_prints_in_later_cells() -> None:
    with Repl() as repl:
        repl.run("import logging, sys\nlogging.basicConfig()\nout = sys.stdout")
        result = repl.run("logging.warning('seen')\nout.write('kept\\n')\nsys.stdout.buffer.write(b'bytes\\n')\nNone")
    assert (result.stdout, result.stderr) == ("kept\nbytes\n", "WARNING:root:seen\n")


def test_a_submitted_value_is_that_of_the_call() -> None:
    with Repl(outputs=("x",)) as repl:
        result = repl.run("x = [1]\ntry:\n    SUBMIT(x=x)\nexcept BaseException:\n    x.append(object())")
    assert result.final == {"x": [1]}


def test_a_call_without_an_answer_is_not_made_again_by_a_rebuild() -> None:
    with Repl({"keep": lambda value: value}, cell_seconds=5) as repl:
        repl.run("import asyncio\ntask = asyncio.ensure_future(keep.aio('a'))\nawait asyncio.sleep(0)")
        made = len(repl.calls)
        repl.run("from js import Deno\nDeno.exit(3)")
        assert repl.value("1 + 1") == "2"
        assert len(repl.calls) == made


def test_the_codec_still_takes_what_it_made() -> None:
    value = {"t": (1, {2}, frozenset({3})), 4: range(3)}
    assert decode(encode(value)) == value
