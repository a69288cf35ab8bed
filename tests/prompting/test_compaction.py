"""A conversation that outgrows the LM's window is shortened and goes on; an LM that fails its cells is relieved."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import dspy
import pytest
from dspy.lm15 import ContextLengthError, Request, Usage
from hypothesis import given
from hypothesis import strategies as st

from rlm_module import RLM, Budget, FatalError, spending
from rlm_module.events import Acted, CellFinished, Compacted, LMCalled
from rlm_module.events import Usage as Spent
from rlm_module.prompting.compaction import Conversation, next_cut
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


def is_summary(request: Request) -> bool:
    """Whether it asks for a summary of older turns."""
    return "[[ ## summary ## ]]" in texts(request)[0][1]


class Windowed(ScriptedLM):
    """An LM whose conversation may have so many characters; the rest of the script is that of each turn.

    Args:
        window: How many.
        *replies: Of its turns.
        summary: How it answers where older turns are to be summed up; by default it cannot.
    """

    def __init__(self, window: int, *replies: str, summary: Scripted | None = None, **options: Any) -> None:
        self.window, self.replies, self.refused = window, list(replies), 0
        self.summary: Scripted = summary or dspy.LMServerError("down")
        super().__init__(self._play, **options)

    @property
    def summaries(self) -> list[Request]:
        """The requests for summaries."""
        return [request for request in self.requests if is_summary(request)]

    def _play(self, request: Request) -> Scripted:
        if _size(request) > self.window:
            self.refused += 1
            return ContextLengthError("too long")
        return self.summary if is_summary(request) else self.replies.pop(0)


def _run(root: Any, *, is_async: bool = False, **options: Any) -> Any:
    rlm = RLM("query -> answer", interpreter_factory=FakeInterpreter, **options)
    with dspy.context(lm=root):
        return asyncio.run(rlm.acall(query="q")) if is_async else rlm(query="q")


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
    turns = [request for request in root.requests if not is_summary(request)]
    refused = next(n for n, request in enumerate(turns) if _size(request) > 11_000)
    shorter = texts(turns[refused + 1])
    assert "Inputs, as variables of the REPL" in shorter[1][1]
    assert "shortened. The variables they bound are still there" in shorter[2][1]
    assert _size(turns[refused + 1]) < _size(turns[refused])


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
    assert len(root.requests) < turns + 10


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


@given(turns=st.lists(st.fixed_dictionaries(_TURNS), max_size=7), is_long=st.booleans())
def test_shortening_ends(turns: list[dict[str, str]], is_long: bool) -> None:
    trajectory = [{"reasoning": t["reasoning"], "code": t["code"], "output": t["request"]} for t in turns]
    shown, steps = Conversation(), 0
    for each in turns:
        shown = shown.followed_by(each)
    while (cut := next_cut(shown, trajectory)) is not None:
        shorter = shown.shortened(replace(cut, summary="long " * 200) if is_long and not steps else cut)
        assert shorter.summed + len(shorter.turns) == len(turns)
        assert shorter.messages[0]["request"] == turns[0]["request"]
        shown, steps = shorter, steps + 1
    assert steps <= 4


_STEPS = [turn(f"v{n} = {n}\nprint('{n}' * 3000)", f"Step {n}.") for n in range(1, 10)]
_SUBMIT = turn("SUBMIT(answer=str(v1 + v6))")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_the_lm_sums_up_older_turns(is_async: bool) -> None:
    root = Windowed(15_000, *_STEPS[:6], _SUBMIT, summary=fields(summary="v1 to v3 hold 1 to 3."))
    prediction = _run(root, is_async=is_async)
    assert prediction.answer == "7"
    (event,) = _of(prediction, Compacted)
    assert (event.turn, event.asked, event.summary) == (event.asked - 3, event.asked, "v1 to v3 hold 1 to 3.")
    shorter = texts(root.requests[root.requests.index(root.summaries[0]) + 1])
    assert shorter[1][1] == texts(root.requests[0])[1][1]
    assert f"Turns 1 to {event.turn}, shortened" in shorter[2][1]
    assert "v1 to v3 hold 1 to 3." in shorter[2][1]
    assert "Step 1." not in str(shorter)
    assert len(shorter) == 2 + 2 * 3  # the task and the summary, two turns, and the output of the last one


def test_its_summary_is_paid_and_recorded_as_a_turn_is_and_no_optimizer_sees_it() -> None:
    root = Windowed(15_000, *_STEPS[:6], _SUBMIT, summary=fields(summary="note"))
    with dspy.context(trace=[]):
        prediction = _run(root, budget=Budget(tokens=1_000_000))
        trace: Any = dspy.settings.trace
        assert len(trace) == len(prediction.trajectory)
    called = [event for event in _of(prediction, LMCalled) if event.error is None]
    assert {event.role for event in called} == {"root"}
    assert len(called) == len(prediction.trajectory) + 1 == prediction.usage.total.calls
    assert root.summaries[0].config.max_tokens == 16_000
    assert sum(event.usage.calls for event in _of(prediction, Acted)) <= len(prediction.trajectory)


def test_what_it_reads_of_the_turns_fits_and_holds_a_part_of_each() -> None:
    wordy = [turn(f"print('{n} ' * 4000)\nprint('end of {n}')", f"Step {n}.") for n in range(1, 7)]
    root = Windowed(40_000, *wordy, turn("SUBMIT(answer='x')"), summary=fields(summary="note"))
    prediction = _run(root)
    (event,) = _of(prediction, Compacted)
    (asked,) = root.summaries
    assert _size(asked) < 0.6 * 40_000
    text = said(asked)
    assert "Inputs, as variables of the REPL" in text
    for n in range(1, event.turn + 1):
        assert f"--- Turn {n}\nStep {n}." in text
        assert f"end of {n}" in text
    assert f"--- Turn {event.turn + 1}" not in text


def test_a_later_summary_goes_on_from_the_one_before() -> None:
    root = Windowed(12_000, *_STEPS, _SUBMIT, summary=fields(summary="Found so far: v1."))
    prediction = _run(root)
    assert prediction.answer == "7"
    first, second = _of(prediction, Compacted)[:2]
    text = said(root.summaries[1])
    assert f"--- Turns 1 to {first.turn}, as they were summed up before\nFound so far: v1." in text
    assert f"--- Turn {first.turn + 1}\n" in text
    assert f"--- Turn {first.turn}\n" not in text
    assert second.turn > first.turn


@pytest.mark.parametrize(
    "reply", ["no fields at all", fields(summary=""), fields(summary="too long " * 2_000), ValueError("broken")]
)
def test_what_is_no_summary_is_made_by_rule(reply: Scripted) -> None:
    prediction = _run(Windowed(12_000, *_STEPS[:6], _SUBMIT, summary=reply))
    assert prediction.answer == "7"
    assert "Bound: v1." in _of(prediction, Compacted)[0].summary


def test_a_summary_that_cannot_be_paid_is_made_by_rule() -> None:
    wordy = [turn(f"print(' '.join(str({n} * i) for i in range(1900)))", f"Step {n}.") for n in range(1, 7)]
    burn = ContextLengthError("too long")
    replies: list[Scripted] = [*wordy, turn("print(7)"), turn("print(8)"), burn, turn("SUBMIT(answer='x')")]

    def play(request: Request) -> Scripted:
        reply = replies.pop(0)
        if reply is burn:  # what is left pays for a turn, but not for reading the long ones
            own = spent.ledger.own
            left = (own.tokens_left or 0) + sum(hold.tokens for hold in own.held)
            spent.ledger.settle("other", {"m": Spent(1, 0, left - 14_000)})
        return reply

    root = ScriptedLM(play)
    budget = Budget(tokens=1_000_000, root_tokens=500, sub_tokens=500)
    with dspy.context(lm=root), spending(budget) as spent:
        prediction: Any = RLM("query -> answer", interpreter_factory=FakeInterpreter)(query="q")
    assert prediction.answer == "x"
    assert not [request for request in root.requests if is_summary(request)]
    (event,) = _of(prediction, Compacted)
    assert (event.turn, event.asked) == (6, 9)
    assert "Step 1." in event.summary


def test_a_child_sums_up_in_its_own_name() -> None:
    def play(request: Request) -> Scripted:
        system = texts(request)[0][1]
        if is_summary(request):
            return fields(summary="note of the child")
        if "Answer the query from the context alone" not in str(request):
            return turn("SUBMIT(answer=rlm_query('go', 'abc'))")
        if _size(request) > 15_000:
            return ContextLengthError("too long")
        number = int(said(request).rpartition("[Turn ")[2].split()[0])
        assert system
        return turn(f"print('{number}' * 3000)" if number < 7 else "SUBMIT(answer='done')")

    prediction = _run(ScriptedLM(play), max_depth=2)
    assert prediction.answer == "done"
    (event,) = _of(prediction, Compacted)
    assert (event.node, event.summary) == (1, "note of the child")
    assert {called.node for called in _of(prediction, LMCalled) if called.reply.startswith("[[ ## summary")} == {1}
    assert prediction.usage.by_role["root"].calls == 1


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
