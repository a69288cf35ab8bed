"""Runs that were cut off go on, and finished ones repeat themselves offline: real runs in the real sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

import dspy
import pydantic
import pytest
from dspy.lm15 import ContextLengthError, Usage
from dspy.primitives.sandbox_serializable import SandboxSerializable
from dspy.signatures.signature import make_signature

from rlm_module import RLM, Budget, Sandbox
from rlm_module.errors import FatalError, InputError
from rlm_module.events import Acted, Diverged, LMCalled, Resumed
from rlm_module.journal import read_run
from rlm_module.journal.folder import EVENTS, TORN
from rlm_module.resuming import replay_run
from tests.cut_off import CUT, cut_after, cut_off, only_run, resume, rewrite, run_with
from tests.fake_interpreter import FakeInterpreter
from tests.journal.disks import Disk
from tests.scripted import ScriptedLM, fields, response, said, texts, turn


class City(pydantic.BaseModel):
    name: str
    people: int


def _echo(prompt: str) -> list[str]:
    return [f"re {prompt}"]


def test_a_run_goes_on_where_it_was_cut_off_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    asked: list[str] = []

    def sub(prompt: str) -> list[str]:
        asked.append(prompt)
        return _echo(prompt)

    rlm = RLM("q -> a", sub_lm=sub, journal=tmp_path)
    folder = cut_off(rlm, "import random\nx = llm_query(q) + str(random.random())\nprint(x)", "y = x * 2")
    prediction, lm = resume(rlm, folder, turn("SUBMIT(a=y)"))
    assert asked == ["1"]
    assert len(lm.requests) == 1
    assert prediction.a == prediction.trajectory[0]["output"] * 2
    assert prediction.usage.by_role["root"].calls == 3
    assert prediction.usage.by_role["sub"].calls == 1
    assert [event.turns for event in prediction.run.events if isinstance(event, Resumed)] == [2]
    assert prediction.run_id == folder.name


def test_the_conversation_goes_on_word_for_word(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    lm = ScriptedLM([turn("print('one')"), CUT])
    with dspy.context(lm=lm), pytest.raises(KeyboardInterrupt):
        rlm(q="1")
    _, again = resume(rlm, only_run(tmp_path), turn("SUBMIT(a='x')"))
    assert texts(again.requests[0]) == texts(lm.requests[1])


class _Long:
    """A root whose conversation outgrows its window, and its note on the older turns.

    Args:
        last: What it says to its ninth turn.
    """

    def __init__(self, last: Any) -> None:
        self._last = last
        self.lm = ScriptedLM(self._play)

    @property
    def turns(self) -> list[Any]:
        """What it was asked for turns, by the messages."""
        return [texts(request) for request in self.lm.requests if not _is_summary(request)]

    @property
    def summaries(self) -> int:
        """How often it was asked to sum up."""
        return sum(map(_is_summary, self.lm.requests))

    def _play(self, request: Any) -> Any:
        if _is_summary(request):
            return fields(summary=f"note {self.summaries}")
        if sum(len(text) for _, text in texts(request)[1:]) > 12_000:
            return ContextLengthError("too long")
        number = int(said(request).rpartition("[Turn ")[2].split()[0])
        return self._last if number == 9 else turn(f"v{number} = {number}\nprint('{number}' * 3000)")


def _is_summary(request: Any) -> bool:
    return "[[ ## summary ## ]]" in texts(request)[0][1]


def _play_long(rlm: RLM, last: Any, folder: Path | None = None) -> _Long:
    root = _Long(last)
    with dspy.context(lm=root.lm), contextlib.suppress(KeyboardInterrupt):
        _ = rlm(q="1") if folder is None else rlm.resume(folder)
    return root


def test_a_shortened_conversation_goes_on_word_for_word_and_is_not_summed_up_again(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    before = _play_long(rlm, CUT)
    after = _play_long(rlm, turn("SUBMIT(a=str(v1))"), only_run(tmp_path))
    assert before.summaries > 1
    assert after.turns == before.turns[-1:]
    assert after.summaries == 0
    assert "note" in str(after.turns)


def test_a_run_that_is_cut_off_right_after_its_summary_was_paid_does_not_ask_for_it_again(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    whole = _play_long(rlm, turn("SUBMIT(a=str(v1))"))
    cut_after(only_run(tmp_path), lambda line: line["tag"] == "compacted")
    again = _play_long(rlm, turn("SUBMIT(a=str(v1))"), only_run(tmp_path))
    asked = next(n for n, messages in enumerate(whole.turns) if "note 1" in str(messages))
    assert again.turns[0] == whole.turns[asked]
    assert again.summaries == whole.summaries - 1


def test_a_conversation_is_shortened_after_a_resume_where_it_would_have_been_without(tmp_path: Path) -> None:
    """gpt-4 holds 8,192 tokens, and the LM says that each request had 7,000."""

    def play(request: Any) -> Any:
        if _is_summary(request):
            return fields(summary="note")
        number = int(said(request).rpartition("[Turn ")[2].split()[0])
        code = f"print('{number}' * 2000)" if number < 5 else "SUBMIT(a='x')"
        return response(turn(code), usage=Usage(input_tokens=7_000, output_tokens=100))

    rlm, lm = RLM("q -> a", journal=tmp_path), ScriptedLM(play, model="openai/gpt-4")
    with dspy.context(lm=lm):
        rlm(q="1")
    folder, whole = only_run(tmp_path), [texts(request) for request in lm.requests]
    summaries = [n for n, request in enumerate(lm.requests) if _is_summary(request)]
    cut_after(folder, lambda line: line["tag"] == "cell_finished" and line["turn"] == 3)
    lm.requests.clear()
    with dspy.context(lm=lm):
        rlm.resume(folder)
    assert summaries
    assert [texts(request) for request in lm.requests] == whole[-len(lm.requests) :]
    assert len(lm.requests) > 2


def test_a_run_with_a_shortened_conversation_replays_to_the_same_answer(tmp_path: Path) -> None:
    root = _play_long(RLM("q -> a", journal=tmp_path), turn("SUBMIT(a=str(v1 + v8))"))
    replay = replay_run(only_run(tmp_path))
    assert (replay.fault, replay.is_same, replay.outputs) == (None, True, {"a": "9"})
    assert root.summaries


def test_resuming_can_be_awaited_and_repeated(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    folder = cut_off(rlm, "x = 1")
    assert isinstance(_run_resume(rlm, folder, turn("x += 1"), CUT), KeyboardInterrupt)
    with dspy.context(lm=ScriptedLM([turn("SUBMIT(a=str(x))")])):
        assert asyncio.run(rlm.aresume(folder)).a == "2"


def _run_resume(rlm: RLM, folder: Path, *replies: Any) -> Any:
    try:
        return resume(rlm, folder, *replies)
    except BaseException as error:
        return error


def test_a_failed_call_fails_again_as_it_did(tmp_path: Path) -> None:
    def tool() -> None:
        raise ValueError("no such thing")

    def sub(prompt: str) -> list[str]:
        raise dspy.ContextWindowExceededError(model="m", message="too long")

    cell = (
        "try: llm_query('x')\nexcept Exception as e: kind = e.kind\ntry: tool()\nexcept Exception as e: text = str(e)"
    )
    rlm = RLM("q -> a", tools=[tool], sub_lm=sub, journal=tmp_path)
    folder = cut_off(rlm, cell, "print(kind, text)")
    prediction, _ = resume(RLM("q -> a", tools=[tool], sub_lm=_echo), folder, turn("SUBMIT(a=kind + text)"))
    assert prediction.a.startswith("context_window")
    assert prediction.a.endswith("no such thing")
    assert not [event for event in prediction.run.events if isinstance(event, Diverged)]


def test_calls_that_ctrl_c_kept_from_being_made_are_made_when_it_goes_on(tmp_path: Path) -> None:
    """The budget has room for one at a time, so the others wait for the first, which never ends."""
    interrupted, go_on = [False], threading.Event()

    def sub(request: Any) -> str:
        if not interrupted[0]:
            interrupted[0] = True
            os.kill(os.getpid(), signal.SIGINT)
            go_on.wait(60)
        return f"re {said(request)}"

    budget = Budget(tokens=31_000, root_tokens=10_000)
    rlm = RLM("q -> a: list", sub_lm=ScriptedLM(sub, max_tokens=8_000), budget=budget, journal=tmp_path)
    run_with(rlm, turn("SUBMIT(a=llm_query_batched(['a', 'b', 'c']))"))
    go_on.set()
    assert resume(rlm, only_run(tmp_path))[0].a == ["re a", "re b", "re c"]


def test_a_child_that_was_cut_off_goes_on_too(tmp_path: Path) -> None:
    cells = ("found = len(context)\nprint(found)", "SUBMIT(answer=str(found))")
    rlm = RLM("q -> a", max_depth=2, sub_lm=ScriptedLM(map(turn, cells)), journal=tmp_path)
    whole = run_with(rlm, turn("a = rlm_query('How long?', 'abc')\nSUBMIT(a=a)"))
    cut_after(only_run(tmp_path), lambda line: line["tag"] == "cell_finished" and line["node"] == 1)
    rlm.sub_lm = again = ScriptedLM([turn(cells[1])])
    prediction, lm = resume(rlm, only_run(tmp_path))
    assert prediction.a == whole.a == "3"
    assert (len(lm.requests), len(again.requests)) == (0, 1)
    assert prediction.usage.by_role["child"].calls == 2


def test_an_answer_that_was_drawn_up_is_not_paid_for_again(tmp_path: Path) -> None:
    rlm = RLM("q -> a", max_iters=2, journal=tmp_path)
    run_with(rlm, turn("print(1)"), turn("print(2)"), fields(a="so"))
    cut_after(only_run(tmp_path), lambda line: line["tag"] == "extracted")
    prediction, lm = resume(rlm, only_run(tmp_path))
    assert (prediction.a, prediction.termination_reason, lm.requests) == ("so", "max_iters", [])


def test_a_torn_last_line_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    folder = cut_off(rlm, "x = 'kept'")
    with (folder / EVENTS).open("a") as file:
        file.write('{"v": 1, "tag": "acted", "tu')
    prediction, _ = resume(rlm, folder, turn("SUBMIT(a=x)"))
    assert prediction.a == "kept"
    assert "was cut off" in caplog.text
    assert '"tag": "acted", "tu' in (folder / TORN).read_text()
    assert len(read_run(folder)) == len(prediction.run.events)


def test_a_newer_version_s_run_is_refused(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    folder = cut_off(rlm, "x = 1")
    rewrite(folder, lambda lines: [{**line, "v": 99} for line in lines])
    with pytest.raises(InputError, match="upgrade rlm-module to read it"):
        resume(rlm, folder)


def test_a_finished_run_is_refused(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    run_with(rlm, turn("SUBMIT(a='x')"))
    before = (only_run(tmp_path) / EVENTS).read_bytes()
    with pytest.raises(InputError, match=r"^The run \w+ is finished \(submitted\): `rlm show` has its answer\.$"):
        resume(rlm, only_run(tmp_path))
    assert (only_run(tmp_path) / EVENTS).read_bytes() == before


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (RLM("q -> b"), "has the signature 'q: str -> a: str', this RLM has 'q: str -> b: str'"),
        (RLM("q -> a: int"), "this RLM has 'q: str -> a: int'"),
        (RLM(make_signature("q -> a", "Otherwise.")), "has other instructions than this RLM"),
    ],
)
def test_another_signature_is_refused(other: RLM, words: str, tmp_path: Path) -> None:
    folder = cut_off(RLM("q -> a", journal=tmp_path), "x = 1")
    with pytest.raises(InputError) as refused:
        resume(other, folder)
    assert words in str(refused.value)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        RLM("q -> a").resume(tmp_path / "nothing")


def test_a_journal_that_cannot_be_written_is_told_once_and_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    rlm = RLM("q -> a", journal=tmp_path / "file")
    with caplog.at_level(logging.WARNING):
        prediction = run_with(rlm, turn("x = 1"), turn("SUBMIT(a='x')"))
    assert prediction.a == "x"
    assert len([record for record in caplog.records if "cannot be written" in record.message]) == 1
    assert sum(isinstance(event, Acted) for event in prediction.run.events) == 2


def test_a_disk_that_fills_up_in_a_run_is_told_once_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rlm = RLM("q -> a", journal=tmp_path)

    def full(request: Any) -> str:
        file = only_run(tmp_path) / EVENTS
        Disk(monkeypatch, file, room=100)
        return turn("x = 1")

    with caplog.at_level(logging.WARNING):
        failed = run_with(rlm, full, RuntimeError("broken"))
    assert isinstance(failed, FatalError)
    assert len([record for record in caplog.records if "cannot be written" in record.message]) == 1
    assert "free some space" in caplog.text
    events = failed.partial.events
    assert [event.turn for event in events if isinstance(event, Acted)] == [1]
    assert len(read_run(only_run(tmp_path))) < len(events)


class Table(SandboxSerializable):
    """A value that only its own code can bring into a sandbox."""

    def to_sandbox(self) -> bytes:
        return b"1,2"

    def sandbox_setup(self) -> str:
        return ""

    def sandbox_assignment(self, var_name: str, data_expr: str) -> str:
        return f"{var_name} = {data_expr}.split(',')"

    def rlm_preview(self, max_chars: int = 500) -> str:
        return "a table"


def test_an_input_that_could_not_be_stored_is_named(tmp_path: Path) -> None:
    signature = make_signature(
        {"t": (Table, dspy.InputField()), "q": (str, dspy.InputField()), "a": (str, dspy.OutputField())}
    )
    rlm = RLM(signature, journal=tmp_path)
    folder = cut_off(rlm, "x = len(t)", t=Table(), q="1")
    with pytest.raises(InputError, match=r"does not hold the inputs t, so start a new run\.$"):
        resume(rlm, folder)


def test_a_run_resumes_from_its_journal_alone(tmp_path: Path) -> None:
    folder = cut_off(RLM("q: str, n: int -> a: list[int]", journal=tmp_path, max_iters=7), "x = [n]", q="1", n=2)
    prediction, lm = resume(RLM, folder, turn("SUBMIT(a=x)"))
    assert prediction.a == [2]
    assert "[Turn 2 of 7." in said(lm.requests[0])


def test_what_no_journal_holds_is_named(tmp_path: Path) -> None:
    class Cities(dspy.Signature):
        q: str = dspy.InputField()
        city: City = dspy.OutputField()

    def look() -> str:
        return ""

    rlm = RLM(Cities, tools=[look], sub_lms={"small": _echo}, journal=tmp_path)
    folder = cut_off(rlm, "x = 1")
    with pytest.raises(InputError, match="needs the tools look and the types City and the models small, which no jour"):
        resume(RLM, folder)


def test_a_tool_that_the_run_had_must_be_given(tmp_path: Path) -> None:
    def look() -> str:
        return ""

    folder = cut_off(RLM("q -> a", tools=[look], journal=tmp_path), "x = 1")
    with pytest.raises(InputError, match="has the tools look, which this RLM lacks; give them, too"):
        resume(RLM("q -> a"), folder)


def test_a_run_that_failed_for_good_can_be_resumed(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    failed = run_with(rlm, dspy.LMServerError(model="m", message="down"))
    assert isinstance(failed, FatalError)
    assert resume(rlm, only_run(tmp_path), turn("SUBMIT(a='x')"))[0].a == "x"


def test_what_was_spent_before_counts_against_the_limits(tmp_path: Path) -> None:
    rlm = RLM("q -> a", max_llm_calls=2, sub_lm=_echo, journal=tmp_path)
    folder = cut_off(rlm, "llm_query('x')")
    cell = "found = llm_query_batched(['y', 'z'])\nSUBMIT(a=f'{bool(found[0])} {bool(found[1])}')"
    assert resume(rlm, folder, turn(cell))[0].a == "True False"


# Replay: finished runs, with no LM at hand.


def test_a_run_with_tools_types_and_batches_replays_to_the_same_answer(tmp_path: Path) -> None:
    class Cities(dspy.Signature):
        q: str = dspy.InputField()
        city: City = dspy.OutputField()

    def people(name: str) -> int:
        return len(name) * 1000

    cells = (
        "import random\nprint(random.random())\nnames = llm_query_batched(['a', 'b'])",
        "names.append(llm_query('c', model='small'))\nSUBMIT(city={'name': names[2]})",
        "SUBMIT(city={'name': names[2], 'people': people(name=names[0])})",
    )
    rlm = RLM(Cities, tools=[people], sub_lms={"small": _echo}, sub_lm=_echo, journal=tmp_path)
    prediction = run_with(rlm, *map(turn, cells))
    assert prediction.city == City(name="re c", people=4000)
    replay = replay_run(only_run(tmp_path))
    assert (replay.fault, replay.is_same) == (None, True)


def test_a_run_with_children_replays_to_the_same_answer(tmp_path: Path) -> None:
    child = ScriptedLM(lambda request: turn("SUBMIT(answer=str(len(context)) + llm_query('x'))"))
    rlm = RLM("q -> a", max_depth=2, sub_lm=child, journal=tmp_path)
    rlm.sub_lm = ScriptedLM(
        lambda request: "re x" if said(request) == "x" else turn("SUBMIT(answer=str(len(context)) + llm_query('x'))")
    )
    prediction = run_with(
        rlm, turn("found = rlm_query_batched(['How long?'] * 2, ['abc', 'abcd'])\nSUBMIT(a=str(found))")
    )
    assert prediction.a == "['3re x', '4re x']"
    replay = replay_run(only_run(tmp_path))
    assert (replay.fault, replay.outputs) == (None, {"a": prediction.a})


def test_a_run_whose_answer_was_drawn_up_replays_to_the_same_answer(tmp_path: Path) -> None:
    rlm = RLM("q -> a", max_iters=2, journal=tmp_path)
    prediction = run_with(rlm, turn("print(1)"), turn("print(2)"), fields(a="so"))
    assert (prediction.a, prediction.termination_reason) == ("so", "max_iters")
    replay = replay_run(only_run(tmp_path))
    assert (replay.fault, replay.is_same) == (None, True)


def test_a_run_with_an_interrupted_cell_replays_to_the_same_answer(tmp_path: Path) -> None:
    rlm = RLM("q -> a", interpreter_factory=lambda: Sandbox(cell_seconds=0.5), journal=tmp_path)
    cells = ("x = 1\nprint(x)", "y = 2\nwhile True: pass", "SUBMIT(a=str(x))")
    prediction = run_with(rlm, *map(turn, cells))
    assert prediction.a == "1"
    assert prediction.trajectory[1]["output"].endswith("the cell ran over its time limit")
    replay = replay_run(only_run(tmp_path))
    assert (replay.fault, replay.is_same) == (None, True)


def test_a_record_that_was_altered_is_told_by_its_turn(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    run_with(rlm, turn("print(1)"), turn("print(2)"), turn("SUBMIT(a='x')"))

    def alter(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**line, "output": "3"} if line.get("output") == "2" else line for line in lines]

    rewrite(only_run(tmp_path), alter)
    replay = replay_run(only_run(tmp_path))
    assert replay.fault is not None
    assert replay.fault.startswith("Turn 2 did not repeat itself")
    assert not replay.is_same


def test_a_replay_leaves_the_record_as_it_is_and_asks_no_model(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    run_with(rlm, turn("SUBMIT(a='x')"))
    before = (only_run(tmp_path) / EVENTS).read_bytes()
    lm = ScriptedLM()
    with dspy.context(lm=lm):
        assert replay_run(only_run(tmp_path)).is_same
    assert (lm.requests, (only_run(tmp_path) / EVENTS).read_bytes()) == ([], before)


def test_a_run_that_was_cut_off_replays_up_to_there(tmp_path: Path) -> None:
    folder = cut_off(RLM("q -> a", journal=tmp_path), "print(1)")
    replay = replay_run(folder)
    assert (replay.fault, replay.recorded, replay.is_same) == ("the record ends here", None, False)


def test_the_sum_over_the_events_of_all_parts_is_what_the_run_spent(tmp_path: Path) -> None:
    rlm = RLM("q -> a", journal=tmp_path)
    prediction, _ = resume(rlm, cut_off(rlm, "x = 1"), turn("SUBMIT(a='x')"))
    called = [event for event in prediction.run.events if isinstance(event, LMCalled)]
    assert sum(event.usage.tokens for event in called) == prediction.usage.total.tokens == 30


def test_a_predictor_that_was_built_in_another_interpreter_is_built_again(tmp_path: Path) -> None:
    """Code of dspy's calls these two there; the interpreter here stands for those that hold it."""
    rlm = RLM("q -> a", sub_lm=ScriptedLM([fields(n=3)]), interpreter_factory=FakeInterpreter, journal=tmp_path)
    folder = cut_off(rlm, "__dspy_construct__('Predict', 'q -> n: int', 'counter')")
    prediction, _ = resume(rlm, folder, turn("SUBMIT(a=str(__dspy_call__('counter', {'q': q})['n']))"))
    assert prediction.a == "3"
