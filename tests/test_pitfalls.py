"""Failures seen in other RLM packages, one test each, as a caller of RLM meets them.

Those that show in a sandbox alone are in `tests/sandbox`; the numbers are those of one list.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from typing import Any, Literal

import dspy
import pydantic
import pytest

from rlm_module import RLM, FatalError, Sandbox, capture_runs
from rlm_module.events import Acted, CellFinished
from tests.scripted import ScriptedLM, fields, said, turn


class Person(pydantic.BaseModel):
    name: str
    born: dt.date


def answer(rlm: RLM, *replies: str, **inputs: Any) -> Any:
    with dspy.context(lm=ScriptedLM(replies)):
        return rlm(**inputs)


def test_pitfall_01_inputs_are_sent_once_and_changes_stay() -> None:
    rows = [1, 2, 3]
    prediction = answer(
        RLM("rows: list[int] -> total: int"),
        turn("rows.append(4)"),
        turn("rows = [row * 10 for row in rows]"),
        turn("SUBMIT(total=sum(rows))"),
        rows=rows,
    )
    assert (prediction.total, rows) == (100, [1, 2, 3])


def test_pitfall_02_integers_and_floats_stay_exact() -> None:
    seen: list[Any] = []

    def keep(value: Any) -> Any:
        seen.append(value)
        return value

    rlm = RLM("n: int -> big: int, real: float", tools=[keep])
    prediction = answer(rlm, turn("SUBMIT(big=keep(value=n + 1), real=keep(value=1.0))"), n=2**70)
    assert (prediction.big, prediction.real) == (2**70 + 1, 1.0)
    assert [(type(value), value) for value in seen] == [(int, 2**70 + 1), (float, 1.0)]


def test_pitfall_03_a_value_json_lacks_is_the_fields_type_or_an_error_the_model_mends() -> None:
    prediction = answer(
        RLM("q -> day: str, unique: set[int]"),
        turn("SUBMIT(day=object(), unique={1})"),
        turn("10 ** 20"),
        turn("import datetime\nSUBMIT(day=str(datetime.date(2024, 2, 29)), unique={1, 2})"),
        q="",
    )
    assert (prediction.day, prediction.unique) == ("2024-02-29", {1, 2})
    assert "object cannot cross" in prediction.trajectory[0]["output"]
    assert prediction.trajectory[1]["output"] == str(10**20)


def test_pitfall_04_nothing_printed_is_lost() -> None:
    prediction = answer(
        RLM("q -> a"),
        turn("print('before')\n'value'"),
        turn("print('kept')\n1 / 0"),
        turn("print('last words')\nSUBMIT(a='x')"),
        q="",
    )
    outputs = [entry["output"] for entry in prediction.trajectory]
    assert outputs[0] == "before\n'value'"
    assert outputs[1].startswith("kept\n")
    assert outputs[1].endswith("ZeroDivisionError: division by zero")
    assert outputs[2].startswith("last words\n")


@pytest.mark.parametrize("value", ["0", "[]", "''", "{1: set()}", "{}.keys()"])
def test_pitfall_05_falsy_and_unusual_last_values_are_shown(value: str) -> None:
    prediction = answer(RLM("q -> a"), turn(value), turn("SUBMIT(a='x')"), q="")
    assert prediction.trajectory[0]["output"] == repr(eval(value))


def test_pitfall_06_a_failed_cell_keeps_what_it_had_set() -> None:
    prediction = answer(
        RLM("q -> a: int"),
        turn("def later():\n    return helper() + kept\nkept = 40\nraise ValueError"),
        turn("def helper():\n    return 2\nSUBMIT(a=later())"),
        q="",
    )
    assert prediction.a == 42


def test_pitfall_07_submit_counts_within_a_bare_except() -> None:
    prediction = answer(
        RLM("q -> a"),
        turn("import sys\nsys.exit()"),
        turn("input('?')"),
        turn("try:\n    SUBMIT(a='first')\nexcept:\n    pass\nprint('went on')"),
        q="",
    )
    assert (prediction.a, prediction.termination_reason) == ("first", "submitted")
    assert "SUBMIT" in prediction.trajectory[0]["output"]
    assert "input() is not available" in prediction.trajectory[1]["output"]


@pytest.mark.parametrize(
    "reply",
    [
        turn('print("```")\nSUBMIT(a="whole")'),
        '[[ ## reasoning ## ]]\nr\n\n[[ ## code ## ]]\n```python\nSUBMIT(a="whole")',
        'I will submit.\n\n```\nSUBMIT(a="whole")\n```\n\nDone.',
        '```python\nx = "whole"\n```\nand then\n```python\nSUBMIT(a=x)\n```',
        turn('text = """\n[[ ## reasoning ## ]]\n"""\nSUBMIT(a="whole")'),
    ],
    ids=["fence in a string", "unclosed fence", "prose around", "several blocks", "field header in a string"],
)
def test_pitfall_08_code_arrives_whole_however_it_is_wrapped(reply: str) -> None:
    assert answer(RLM("q -> a"), reply, q="").a == "whole"


@pytest.mark.parametrize("reply", [fields(reasoning="r", code="None"), "I think the answer is x.", ""])
def test_pitfall_08_a_turn_without_code_gets_one_reminder_and_counts(reply: str) -> None:
    prediction = answer(RLM("q -> a", max_iters=2), reply, turn("SUBMIT(a='x')"), q="")
    assert len(prediction.trajectory) == 2
    assert prediction.trajectory[0]["output"].startswith("No code was run")


def test_pitfall_09_defaults_and_tools_shaped_like_mcps_work() -> None:
    class Task(dspy.Signature):
        text: str = dspy.InputField()
        times: int = dspy.InputField(default=3)
        a: str = dspy.OutputField()

    def remote(*args: Any, **kwargs: Any) -> str:
        return f"{kwargs['word']}!"

    tool = dspy.Tool(remote, name="remote", desc="Shouts.", args={"word": {"type": "string"}}, arg_types={"word": str})
    assert answer(RLM(Task, tools=[tool]), turn("SUBMIT(a=remote(word=text) * times)"), text="ab").a == "ab!ab!ab!"


def test_pitfall_10_inputs_keep_their_types() -> None:
    class Task(dspy.Signature):
        person: Person = dspy.InputField()
        pair: tuple[int, int] = dspy.InputField()
        unique: set[str] = dspy.InputField()
        a: str = dspy.OutputField()

    code = "SUBMIT(a=f'{person.name} {person[\"born\"].year} {type(pair).__name__} {type(unique).__name__}')"
    ada = Person(name="Ada", born=dt.date(1815, 12, 10))
    assert answer(RLM(Task), turn(code), person=ada, pair=(1, 2), unique={"x"}).a == "Ada 1815 tuple set"


def test_pitfall_11_a_cell_that_never_ends_is_interrupted_with_its_state() -> None:
    prediction = answer(
        RLM("q -> a: int", interpreter_factory=lambda: Sandbox(cell_seconds=0.5)),
        turn("kept = 41\nwhile True:\n    pass"),
        turn("SUBMIT(a=kept + 1)"),
        q="",
    )
    assert prediction.a == 42
    assert "time limit" in prediction.trajectory[0]["output"]


def test_pitfall_12_what_ignores_interrupts_is_killed_and_the_variables_come_back() -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "forty"

    prediction = answer(
        RLM("q -> a", tools=[ask], interpreter_factory=lambda: Sandbox(cell_seconds=0.5)),
        turn("kept = ask(prompt='how many?')"),
        turn("while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
        turn("SUBMIT(a=kept)"),
        q="",
    )
    assert (prediction.a, asked) == ("forty", ["how many?"])
    assert "had to be restarted" in prediction.trajectory[1]["output"]


def test_pitfall_13_a_tool_has_a_limit_of_its_own() -> None:
    hang = threading.Event()

    def slow() -> None:
        hang.wait(30)

    rlm = RLM("q -> a", tools=[slow], tool_seconds=0.2, interpreter_factory=lambda: Sandbox(cell_seconds=30))
    prediction = answer(rlm, turn("slow()"), turn("SUBMIT(a='x')"), q="")
    hang.set()
    assert "TimeoutError" in prediction.trajectory[0]["output"]
    assert "slow took longer than 0.2 s" in prediction.trajectory[0]["output"]


def test_pitfall_14_runaway_output_and_memory_stay_in_the_sandbox() -> None:
    prediction = answer(
        RLM("q -> a", max_output_chars=1_000, interpreter_factory=lambda: Sandbox(memory_mb=256)),
        turn("print('x' * 10**7)"),
        turn("kept = 1\nhoard = []\nwhile True:\n    hoard.append(bytearray(10**7))"),
        turn("hoard = None\nSUBMIT(a=str(kept))"),
        q="",
    )
    assert prediction.a == "1"
    assert len(prediction.trajectory[0]["output"]) < 1_200
    assert "MemoryError" in prediction.trajectory[1]["output"]


def test_pitfall_15_the_event_loop_runs_on_while_a_cell_spins() -> None:
    async def longest_gap() -> float:
        rlm = RLM("q -> a", interpreter_factory=lambda: Sandbox(cell_seconds=0.5))
        rlm.set_lm(ScriptedLM([turn("while True: pass"), turn("SUBMIT(a='x')")]))
        run = asyncio.ensure_future(rlm.acall(q=""))
        longest, last = 0.0, time.monotonic()
        while not run.done():
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert (await run).a == "x"
        return longest

    # The figure is the benchmark's; a loop that waits for the cell would stand still for all of its half second.
    assert asyncio.run(longest_gap()) < 0.4


def test_pitfall_16_the_sandbox_starts_while_the_lm_answers() -> None:
    started = threading.Event()

    class Watched(Sandbox):
        def __init__(self) -> None:
            super().__init__()
            begin = self.session.start

            def start(*args: Any) -> Any:
                started.set()
                return begin(*args)

            self.session.start = start  # pyright: ignore[reportAttributeAccessIssue]

    def reply(_: Any) -> str:
        assert started.wait(30), "the LM was asked before the sandbox began to start"
        return turn("SUBMIT(a='x')")

    rlm = RLM("q -> a", interpreter_factory=Watched)
    rlm.set_lm(ScriptedLM(reply))
    assert rlm(q="").a == "x"


def test_pitfall_26_only_a_call_of_submit_ends_a_run() -> None:
    prediction = answer(
        RLM("q -> a"),
        turn("note = 'FINAL(wrong) SUBMIT(a=1)'\nprint('FINAL(Paris (France) is it)')  # SUBMIT(a='no')"),
        turn("SUBMIT(a='Paris (France) is it')"),
        q="",
    )
    assert prediction.a == "Paris (France) is it"
    assert len(prediction.trajectory) == 2


def test_pitfall_27_what_is_wrong_with_a_submission_is_named_in_the_next_turn() -> None:
    class Task(dspy.Signature):
        q: str = dspy.InputField()
        n: int = dspy.OutputField(ge=0)
        kind: Literal["cat", "dog"] = dspy.OutputField()

    prediction = answer(
        RLM(Task),
        turn("SUBMIT(n=1)"),
        turn("SUBMIT(n=1, kind='cat', extra=2)"),
        turn("SUBMIT(n='many', kind='bird')"),
        turn("SUBMIT(n=-1, kind='dog')"),
        turn("SUBMIT(n=2, kind='dog')"),
        q="",
    )
    outputs = [entry["output"] for entry in prediction.trajectory]
    assert (prediction.n, prediction.kind) == (2, "dog")
    assert "misses 'kind'" in outputs[0]
    assert "no output 'extra'" in outputs[1]
    assert "n" in outputs[2]
    assert "kind" in outputs[2]
    assert "SUBMIT was refused" in outputs[3]


def test_pitfall_28_an_extraction_that_fails_is_tried_again_then_fatal_with_the_record() -> None:
    rlm = RLM("q -> a: int", max_iters=1)
    prediction = answer(rlm, turn("print('41')"), "no fields", fields(a=41), q="")
    assert (prediction.a, prediction.termination_reason) == (41, "max_iters")
    with pytest.raises(FatalError) as caught:
        answer(rlm, turn("print('41')"), "no fields", "none either", q="")
    assert caught.value.partial.trajectory[0]["output"] == "41"


def test_pitfall_29_a_typed_output_gets_the_value_out_of_prose() -> None:
    prose = "# The Special Number\n\nThe special number is **162934**."
    assert answer(RLM("q -> n: int"), turn(f"SUBMIT(n={prose!r})"), q="").n == 162934


def test_events_tell_of_every_turn_as_it_happens() -> None:
    seen: list[type] = []
    with capture_runs(on_event=lambda event: seen.append(type(event))) as runs:
        answer(RLM("q -> a"), turn("print(1)"), turn("SUBMIT(a='x')"), q="")
    assert [kind for kind in seen if kind in (Acted, CellFinished)] == [Acted, CellFinished] * 2
    assert len(runs) == 1


def test_the_last_request_tells_the_turn_and_what_is_left() -> None:
    lm = ScriptedLM([turn("print(1)"), turn("SUBMIT(a='x')")])
    rlm = RLM("q -> a", max_iters=2)
    rlm.set_lm(lm)
    rlm(q="")
    assert "Turn 2 of 2" in said(lm.requests[1])
