"""A conversation that outgrows the LM's window is shortened and goes on; an LM that fails its cells is relieved."""

from __future__ import annotations

from typing import Any

import dspy
import pytest
from dspy.lm15 import ContextLengthError, Request, Usage
from hypothesis import given
from hypothesis import strategies as st

from rlm_module import RLM, FatalError
from rlm_module.compaction import compact
from rlm_module.events import Acted, CellFinished, Compacted
from tests.fake_interpreter import FakeInterpreter
from tests.model_server import ModelServer, Outcome, Reply, context_length_exceeded
from tests.model_server import Request as WireRequest
from tests.model_server.engines import ENGINES, Engine, lm
from tests.scripted import Reply as Scripted
from tests.scripted import ScriptedLM, fields, response, said, texts, turn
from tests.staged import turn_of

_TURNS = {
    "request": st.text(max_size=3_000),
    "reasoning": st.text(max_size=300),
    "code": st.sampled_from(["x = 1", "", "print('a')", "not python ("]),
}


def _size(request: Request) -> int:
    return sum(len(text) for _, text in texts(request)[1:])


class Windowed(ScriptedLM):
    """An LM whose conversation may have so many characters; the rest of the script is that of each turn."""

    def __init__(self, window: int, *replies: str, **options: Any) -> None:
        self.window, self.replies, self.refused = window, list(replies), 0
        super().__init__(self._play, **options)

    def _play(self, request: Request) -> Scripted:
        if _size(request) > self.window:
            self.refused += 1
            return ContextLengthError("too long")
        return self.replies.pop(0)


def _run(root: Any, **options: Any) -> Any:
    rlm = RLM("query -> answer", interpreter_factory=FakeInterpreter, **options)
    with dspy.context(lm=root):
        return rlm(query="q")


def _of(prediction: Any, kind: Any) -> list[Any]:
    return [event for event in prediction.run.events if isinstance(event, kind)]


def test_a_full_window_shortens_the_conversation_and_the_run_goes_on() -> None:
    steps = [turn(f"v{n} = {n}\nprint('{n}' * 3000)", f"Step {n}.") for n in range(1, 7)]
    root = Windowed(12_000, *steps, turn("SUBMIT(answer=str(v1 + v6))"))
    prediction = _run(root)
    assert (prediction.answer, prediction.termination_reason) == ("7", "submitted")
    assert root.refused >= 1
    compacted = _of(prediction, Compacted)
    assert compacted
    assert "Step 1." in compacted[0].summary
    assert "Bound: v1." in compacted[0].summary


def test_what_was_shortened_stays_whole_on_record() -> None:
    steps = [turn(f"print('{n}' * 3000)") for n in range(1, 7)]
    prediction = _run(Windowed(12_000, *steps, turn("SUBMIT(answer='x')")))
    assert [turn["output"] for turn in prediction.trajectory[:6]] == [str(n) * 3000 for n in range(1, 7)]
    assert [len(cell.output) for cell in _of(prediction, CellFinished)[:6]] == [3000] * 6
    assert len(_of(prediction, Acted)) == 7


def test_the_shorter_request_begins_with_the_task_and_a_summary() -> None:
    steps = [turn(f"print('{n}' * 3000)", f"Step {n}.") for n in range(1, 6)]
    root = Windowed(11_000, *steps, turn("SUBMIT(answer='x')"))
    _run(root)
    refused = next(n for n, request in enumerate(root.requests) if _size(request) > 11_000)
    shorter = texts(root.requests[refused + 1])
    assert "Inputs, as variables of the REPL" in shorter[1][1]
    assert "shortened. The variables they bound are still there" in shorter[2][1]
    assert _size(root.requests[refused + 1]) < _size(root.requests[refused])


def test_a_single_output_that_is_too_long_is_cut() -> None:
    root = Windowed(9_000, turn("big = 'x' * 20_000\nprint(big)"), turn("SUBMIT(answer=str(len(big)))"))
    prediction = _run(root, max_output_chars=15_000)
    assert prediction.answer == "20000"
    assert root.refused == 1
    assert len(prediction.trajectory[0]["output"]) > 14_000
    assert len(_of(prediction, Acted)[1].request) < 3_000


@pytest.mark.parametrize("turns", range(1, 7))
def test_a_window_that_nothing_fits_ends_the_run_with_what_was_found(turns: int) -> None:
    def play(request: Request) -> Scripted:
        if "transcript" in texts(request)[0][1]:
            return fields(answer="drawn up")
        asked = len(root.requests)
        return turn("print('found ' * 900)") if asked <= turns else ContextLengthError("too long")

    root = ScriptedLM(play)
    prediction = _run(root)
    assert (prediction.answer, prediction.termination_reason) == ("drawn up", "error")
    assert len(prediction.trajectory) == turns
    assert len(root.requests) < turns + 8


def test_a_first_request_that_does_not_fit_is_fatal_with_the_record() -> None:
    with pytest.raises(FatalError, match="first turn") as raised:
        _run(ScriptedLM(lambda request: ContextLengthError("too long")))
    assert isinstance(raised.value.__cause__, dspy.ContextWindowExceededError)
    assert raised.value.partial.events[-1].reason == "error"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_context_window_error_on_the_wire(engine: Engine) -> None:
    def answer(request: WireRequest) -> Outcome:
        if sum(len(message["content"]) for message in request.body["messages"][1:]) > 9_000:
            return context_length_exceeded()
        number = turn_of(request)
        return Reply(turn(f"v{number} = {number}\nprint('x' * 3000)" if number < 5 else "SUBMIT(answer=v1 + v4)"))

    with ModelServer(answer) as server:
        prediction = _run(lm(server, engine, num_retries=0))
    assert prediction.answer == "5"
    assert _of(prediction, Compacted)


def test_older_turns_are_shortened_at_a_share_of_the_window() -> None:
    """gpt-4 holds 8,192 tokens, and the LM says that each request had 7,000."""

    def play(request: Request) -> Scripted:
        number = len(root.requests)
        code = f"print('{number}' * 2000)" if number < 6 else "SUBMIT(answer='x')"
        return response(turn(code), usage=Usage(input_tokens=7_000, output_tokens=100))

    root = ScriptedLM(play, model="openai/gpt-4")
    early = _run(root, compact_at=0.5)
    root.requests.clear()
    late = _run(root, compact_at=1.0)
    assert _of(early, Compacted)
    assert not _of(late, Compacted)
    assert early.answer == late.answer == "x"


@given(turns=st.lists(st.fixed_dictionaries(_TURNS), max_size=7))
def test_shortening_ends(turns: list[dict[str, str]]) -> None:
    trajectory = [{"reasoning": t["reasoning"], "code": t["code"], "output": t["request"]} for t in turns]
    history, steps = turns, 0
    while (shorter := compact(history, trajectory)) is not None:
        assert sum(map(len, map(str, shorter[0]))) < sum(map(len, map(str, history)))
        assert shorter[0][0]["request"] == turns[0]["request"]
        history, steps = shorter[0], steps + 1
    assert steps <= 3


@pytest.mark.parametrize("failing", ["1 / 0", "SUBMIT(nothing=1)", ""])
def test_the_strong_lm_takes_the_turn_after_three_failing_cells_and_hands_back(failing: str) -> None:
    strong = ScriptedLM([turn("print('strong')")], model="strong/model")
    root = ScriptedLM([turn(failing)] * 3 + [turn("print('again')"), turn("SUBMIT(answer='x')")])
    prediction = _run(root, sub_lms={"strong": strong}, escalate_to="strong")
    assert prediction.answer == "x"
    assert (len(strong.requests), len(root.requests)) == (1, 5)
    assert prediction.trajectory[3]["output"] == "strong"
    assert len(texts(strong.requests[0])) == 2 + 3 * 2  # the whole conversation
    assert prediction.usage.by_model["strong/model"].calls == 1
    assert prediction.usage.by_role["root"].calls == 6


def test_a_cell_that_works_starts_the_count_anew() -> None:
    strong = ScriptedLM(model="strong/model")
    root = ScriptedLM([turn("1 / 0"), turn("1 / 0"), turn("print(1)"), turn("1 / 0"), turn("SUBMIT(answer='x')")])
    assert _run(root, sub_lms={"strong": strong}, escalate_to="strong").answer == "x"
    assert strong.requests == []


def test_a_strong_lm_that_fails_too_is_asked_after_three_more() -> None:
    strong = ScriptedLM([turn("1 / 0"), turn("SUBMIT(answer='x')")], model="strong/model")
    root = ScriptedLM([turn("1 / 0")] * 5)
    prediction = _run(root, sub_lms={"strong": strong}, escalate_to="strong")
    assert (prediction.answer, len(root.requests), len(strong.requests)) == ("x", 5, 2)


def test_without_escalation_the_root_goes_on() -> None:
    root = ScriptedLM([turn("1 / 0")] * 4 + [turn("SUBMIT(answer='x')")])
    assert _run(root).answer == "x"
    assert "ZeroDivisionError" in said(root.requests[4])
