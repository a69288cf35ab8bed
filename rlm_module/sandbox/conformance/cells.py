"""Checks of cells: what they keep, print and submit, and what becomes of one when its session ends."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from rlm_module.errors import SandboxError
from rlm_module.sandbox.base import HostCall, HostFunction, Setup
from rlm_module.sandbox.conformance.claims import equal, fails, happens, require
from rlm_module.sandbox.conformance.sessions import MakeSession, clean, run, started


def check_cells_share_one_namespace(make_session: MakeSession) -> None:
    """Like a notebook: what a cell binds stays, and functions see what later cells define."""
    with started(make_session) as session:
        clean(session, "total = 40\ndef add(): return total + extra()")
        clean(session, "def extra(): return 2")
        equal(clean(session, "add()").value, "42", "a function calls one that a later cell defined")


def check_output_is_text_then_value(make_session: MakeSession) -> None:
    """Printed text is kept beside the value; the value is a repr, also of what is falsy; None is no value."""
    with started(make_session) as session:
        result = clean(session, "import sys\nprint('out')\nprint('err', file=sys.stderr)\n''")
        equal((result.stdout, result.stderr, result.value), ("out\n", "err\n", "''"), "stdout, stderr and value")
        equal([clean(session, code).value for code in ("0", "[]", "{3}", "None")], ["0", "[]", "{3}", None], "values")


def check_a_failed_cell_keeps_what_it_did(make_session: MakeSession) -> None:
    """Variables and printed text from before the error stay, and the traceback shows the failing line."""
    with started(make_session) as session:
        result = run(session, "kept = 7\nprint('before')\n1 / 0")
        error = result.error
        equal(error and (error.kind, error.type), ("exception", "ZeroDivisionError"), "the error")
        equal(result.stdout, "before\n", "what was printed before the error")
        require("1 / 0" in result.text, f"the text of the result shows the failing line, not {result.text!r}")
        equal(clean(session, "kept").value, "7", "a variable from before the error")


def check_a_cell_that_is_no_python_is_a_syntax_error(make_session: MakeSession) -> None:
    """Such a cell runs nothing, and the session goes on."""
    with started(make_session) as session:
        error = run(session, "ran = 1\nthis is no python").error
        equal(error and error.kind, "syntax", "the error's kind")
        equal(clean(session, "'ran' in globals()").value, "False", "whether a part of the cell ran")


def check_a_cell_cannot_end_or_block_the_session(make_session: MakeSession) -> None:
    """exit, sys.exit and input are errors of the cell."""
    with started(make_session) as session:
        for code in ("exit()", "import sys; sys.exit(3)", "raise SystemExit", "input('name? ')"):
            error = run(session, code).error
            equal(error and error.kind, "exception", f"the kind of error of {code}")
        equal(clean(session, "1 + 1").value, "2", "a cell after them")


def check_a_cell_may_await(make_session: MakeSession) -> None:
    """At its top level."""
    with started(make_session) as session:
        equal(clean(session, "import asyncio\nawait asyncio.sleep(0, 'slept')").value, "'slept'", "an awaited value")


def check_submit_ends_a_cell_with_its_fields(make_session: MakeSession) -> None:
    """By name or in order; text printed before is kept, and nothing after it runs."""
    with started(make_session, setup=Setup(outputs=("answer", "score"))) as session:
        result = run(session, "print('done')\nSUBMIT('yes', score=2**60 + 1)\nafter = 1")
        equal(result.final, {"answer": "yes", "score": 2**60 + 1}, "the fields")
        equal((result.stdout, result.error), ("done\n", None), "stdout and error")
        equal(clean(session, "'after' in globals()").value, "False", "whether code after SUBMIT ran")
    with started(make_session, setup=Setup(outputs=("answer", "note"), optional=frozenset({"note"}))) as session:
        equal(run(session, "SUBMIT('yes')").final, {"answer": "yes"}, "the fields without one that is optional")


def check_a_wrong_submit_is_an_error_of_the_cell(make_session: MakeSession) -> None:
    """It names what is missing, unknown, or not to be sent."""
    with started(make_session, setup=Setup(outputs=("answer",))) as session:
        for code, name in {"SUBMIT()": "answer", "SUBMIT(reply=1)": "reply", "SUBMIT(object())": "object"}.items():
            result = run(session, code)
            equal(result.final, None, f"the fields of {code}")
            require(name in result.text, f"the error of {code} names {name!r}, not {result.text!r}")


def check_no_except_swallows_submit(make_session: MakeSession) -> None:
    """The first SUBMIT counts, whatever the code does after it."""
    with started(make_session) as session:
        result = run(session, "try:\n    SUBMIT(1)\nexcept:\n    pass\nSUBMIT(2)")
        equal(result.final, {"output": 1}, "the fields")
        equal(clean(session, "3").final, None, "the fields of the next cell")


def check_randomness_follows_the_seed(make_session: MakeSession) -> None:
    """So that a session which had to be rebuilt repeats itself."""
    sources = ("random.random()", "uuid.uuid4().hex", "os.urandom(4)")

    def drawn(seed: int) -> list[str | None]:
        with started(make_session, setup=Setup(seed=seed)) as session:
            clean(session, "import os, random, uuid")
            return [clean(session, source).value for source in sources]

    first, again, other = drawn(1), drawn(1), drawn(2)
    equal(first, again, "what the same seed draws")
    for source, one, another in zip(sources, first, other, strict=True):
        require(one != another, f"another seed draws something else from {source}")


def check_close_ends_a_running_cell(make_session: MakeSession) -> None:
    """At once; its future fails with SandboxError, as does whatever is asked of the session later."""
    called = threading.Event()

    def dispatch(call: HostCall) -> Future[Any]:
        called.set()
        return Future()

    with started(make_session, dispatch, Setup((HostFunction("wait"),))) as session:
        running = session.execute("wait()\nwhile True: pass")
        happens(called, "the cell runs")
        session.close()
        fails(running, SandboxError, "the cell")
        fails(session.execute("1"), SandboxError, "a cell after close")
        session.close()


def check_a_session_that_never_started_says_so(make_session: MakeSession) -> None:
    """And can be closed."""
    session = make_session()
    fails(session.execute("1"), SandboxError, "a cell before start")
    session.close()
