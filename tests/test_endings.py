"""How a run ends that its time or money ran out on: nothing is spent afterwards, and nothing that was found is lost."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import RLM, Budget, RunPrediction
from rlm_module.errors import FatalError
from rlm_module.events import CallFinished, LMCalled
from rlm_module.journal import RunFolder
from tests.clock import MINUTE, Clock
from tests.scripted import ScriptedLM, fields, said, turn

_KEY = "hunter2hunter2hunter2"


class Hanging(ScriptedLM):
    """Answers nothing before it is told to."""

    def __init__(self, **options: Any) -> None:
        self.release, self.asked = threading.Event(), threading.Semaphore(0)
        super().__init__(self._reply, **options)

    def _reply(self, request: Any) -> str:
        self.asked.release()
        self.release.wait(60)
        return "late"


def _root(*cells: str) -> ScriptedLM:
    left = iter(cells)

    def reply(request: Any) -> str:
        if "[[ ## transcript ## ]]" not in said(request):
            return turn(next(left))
        return fields(answer="found 42" if "found 42" in said(request) else "nothing was found")

    return ScriptedLM(reply)


def _run(root: ScriptedLM, **options: Any) -> RunPrediction:
    with dspy.context(lm=root):
        return RunPrediction.of(RLM("query -> answer", **options)(query="q").run)


def test_what_an_unfinished_cell_printed_goes_into_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    sub, leap = Hanging(), Clock(monkeypatch).leaping(left=MINUTE.extract_seconds + 2.0)
    try:
        root = _root("leap()", "print('found 42')\nllm_query('slow')")
        prediction = _run(root, sub_lm=sub, budget=MINUTE, tools=[leap])
    finally:
        sub.release.set()
    assert prediction.termination_reason == "budget:seconds"
    assert "found 42" in prediction.trajectory[1]["output"]
    assert "found 42" in prediction.answer
    assert (prediction.usage.in_flight, prediction.usage.by_role.keys()) == (1, {"root", "extract"})


def test_calls_that_waited_for_money_are_never_made_once_the_run_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    sub, leap = Hanging(max_tokens=8_000), Clock(monkeypatch).leaping(left=MINUTE.extract_seconds + 2.0)
    root = _root("leap()", "print('found 42')\nllm_query_batched([f'q{i}' for i in range(8)])")
    prediction = _run(root, sub_lm=sub, budget=replace(MINUTE, tokens=50_000), tools=[leap])
    in_flight = len(sub.requests)
    sub.release.set()
    for thread in [t for t in threading.enumerate() if t.name.startswith("rlm-sub-calls")]:
        thread.join(30)
    assert prediction.termination_reason == "budget:seconds"
    assert "found 42" in prediction.answer
    assert 0 < in_flight == len(sub.requests) == prediction.usage.in_flight < 8


def test_a_cancelled_run_makes_no_further_attempts() -> None:
    attempts: list[str] = []
    failed = threading.Event()

    def failing(prompt: str) -> str:
        attempts.append(prompt)
        failed.set()
        raise ConnectionError("down")

    async def main() -> None:
        with dspy.context(lm=_root("llm_query('x')")):
            task = asyncio.ensure_future(RLM("query -> answer", sub_lm=failing).acall(query="q"))
            await asyncio.to_thread(failed.wait, 30)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rlm_module.lms.faults._FIRST_PAUSE", 20.0)
        patch.setattr("rlm_module.lms.paid_calls.pause", lambda error, attempt: 20.0)
        asyncio.run(main())
    for thread in [t for t in threading.enumerate() if t.name.startswith("rlm-sub-calls")]:
        thread.join(30)
    assert attempts == ["x"]


def test_an_answer_can_be_drawn_up_whatever_the_lms_own_limit_is() -> None:
    root = _root("print('found 42')", "llm_query_batched(['x' * 4_000] * 50)", *["llm_query('x' * 30_000)"] * 40)
    root.kwargs["max_tokens"] = 16_000
    sub = ScriptedLM(lambda r: "y " * 900)
    prediction = _run(root, sub_lm=sub, budget=Budget(tokens=100_000), max_iters=40, max_llm_calls=500)
    assert prediction.termination_reason in ("budget:tokens", "max_iters")
    assert prediction.answer


def test_a_run_whose_time_is_over_before_its_first_turn_says_so() -> None:
    with pytest.raises(FatalError, match="raise the limit") as raised:
        _run(_root("print(1)"), budget=Budget(seconds=1e-6))
    assert raised.value.partial is not None


def test_no_credential_of_an_lm_enters_the_sandbox_or_the_record(tmp_path: Path) -> None:
    def lookup() -> str:
        raise RuntimeError(f"401: wrong key {_KEY}")

    root = _root("try:\n    lookup()\nexcept Exception as e:\n    print(e)", "lookup()", "SUBMIT(answer='x')")
    root.kwargs["api_key"] = _KEY
    prediction = _run(root, tools=[lookup], journal=tmp_path)
    recorded = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert "401: wrong key [secret]" in prediction.trajectory[0]["output"]
    assert _KEY not in recorded
    assert _KEY not in str(prediction.trajectory)


@dataclass
class _Account:
    owner: str
    keys: tuple[str, ...]
    number: int


@pytest.mark.parametrize("is_async", [False, True])
def test_a_tool_s_result_loses_the_keys_of_lms(is_async: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTED_API_KEY", quoted := 'a key with "quotes"')
    monkeypatch.setenv("NUMBER_API_KEY", number := "1234567890123456")
    account = _Account(f"Ada ({_KEY})", (quoted, number), int(number))

    def find() -> list[Any]:
        return [account, {_KEY: b"bytes"}, _KEY]

    async def afind() -> list[Any]:
        return find()

    tool = dspy.Tool(afind if is_async else find, name="find")
    root = _root("print(find())", "SUBMIT(answer=find()[-1])")
    root.kwargs["api_key"] = _KEY
    prediction = _run(root, tools=[tool], journal=tmp_path)
    recorded = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    shown = f"_Account(owner='Ada ([secret])', keys=('[secret]', '[secret]'), number={number})"
    assert prediction.trajectory[0]["output"] == f"[{shown}, {{'[secret]': b'bytes'}}, '[secret]']"
    assert prediction.answer == "[secret]"
    assert _KEY.encode() not in recorded


def test_a_tool_s_result_is_as_it_was_where_an_lm_has_no_real_key() -> None:
    def advise() -> str:
        return "a key is not-needed"

    root = _root("print(advise())", "SUBMIT(answer='x')")
    root.kwargs["api_key"] = "not-needed"
    assert _run(root, tools=[advise]).trajectory[0]["output"] == "a key is not-needed"


def test_a_run_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="is not known"):
        _run(ScriptedLM([], model="no/price"), journal=tmp_path, budget=Budget(cost_usd=1.0))
    assert list(tmp_path.iterdir()) == []


def test_the_class_does_not_resume_what_another_lm_or_a_learned_strategy_began(tmp_path: Path) -> None:
    rlm = RLM("query -> answer", sub_lm=ScriptedLM(["x"], model="cheap/one"), journal=tmp_path)
    rlm.generate_action.signature = rlm.generate_action.signature.with_instructions("Learned.")
    with dspy.context(lm=ScriptedLM([turn("1 / 0"), KeyboardInterrupt()])), pytest.raises(KeyboardInterrupt):
        rlm(query="q")
    (run,) = tmp_path.iterdir()
    with pytest.raises(FatalError, match="the sub_lm cheap/one and what its RLM had learned"):
        RLM.resume(run)
    with dspy.context(lm=ScriptedLM([turn("SUBMIT(answer='done')")])):
        assert rlm.resume(run).answer == "done"


def test_a_tool_that_a_sub_agent_calls_is_recorded(tmp_path: Path) -> None:
    called: list[str] = []

    def lookup(key: str) -> str:
        called.append(key)
        return "found"

    step = fields(next_thought="t", next_tool_name="lookup", next_tool_args=json.dumps({"key": "k"}))
    done = fields(next_thought="t", next_tool_name="finish", next_tool_args="{}")
    sub = ScriptedLM([step, done, fields(reasoning="r", answer="42")])
    cell = "import dspy\nout = dspy.ReAct('q -> answer', tools=[lookup], max_iters=3)(q='x').answer\nSUBMIT(answer=out)"
    rlm = RLM("query -> answer", tools=[lookup], sub_lm=sub, journal=tmp_path)
    with dspy.context(lm=ScriptedLM([turn(cell)])):
        prediction = RunPrediction.of(rlm(query="q").run)
    assert prediction.answer == "42"
    calls = [event.function for event in prediction.run.events if isinstance(event, CallFinished)]
    assert calls.count("lookup") == 1
    assert called == ["k"]
    assert any(isinstance(event, LMCalled) and event.role == "sub" for event in prediction.run.events)


def test_an_existing_folder_of_the_same_run_is_not_written_over(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "one").close()
    with pytest.raises(FatalError, match="holds a run already"):
        RunFolder.create(tmp_path, "one")
