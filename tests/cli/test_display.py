"""The lines that a run leaves on a terminal or in a log."""

from __future__ import annotations

import io
import threading

import pytest

from rlm_module.cli.display import TurnDisplay, printable
from rlm_module.events import (
    Acted,
    AnyEvent,
    CallFinished,
    CallStarted,
    CellFinished,
    RunFinished,
    RunStarted,
    TerminationReason,
    TurnStarted,
    Usage,
)


def _shown(*events: AnyEvent, full: bool = False, live: bool | None = None) -> str:
    stream = io.StringIO()
    display = TurnDisplay(stream, full=full, live=live)
    for event in events:
        display(event)
    return stream.getvalue()


def _acted(turn: int = 1, reasoning: str = "Look first.", code: str = "print(len(context))") -> Acted:
    return Acted(run_id="r", turn=turn, reasoning=reasoning, code=code, seconds=0.84, usage=Usage(calls=1))


def _cell(turn: int = 1, output: str = "4000000", failed: bool = False) -> CellFinished:
    return CellFinished(run_id="r", turn=turn, output=output, failed=failed, seconds=0.31)


def _turn(turn: int = 1) -> TurnStarted:
    return TurnStarted(run_id="r", turn=turn)


def _call(call: int, error: str | None = None) -> tuple[CallStarted, CallFinished]:
    return (
        CallStarted(run_id="r", call=call, cell=0, function="llm_query"),
        CallFinished(run_id="r", call=call, function="llm_query", seconds=0.1, error=error, usage=Usage()),
    )


def _finished(reason: TerminationReason = "submitted", usage: Usage | None = None) -> RunFinished:
    return RunFinished(run_id="r", reason=reason, outputs={}, seconds=4.2, usage=usage or Usage())


def test_a_turn_is_one_line() -> None:
    shown = _shown(_turn(), _acted(), *_call(1), *_call(2), _cell())
    assert shown == "turn 1 · Look first. · model 0.8 s · cell 0.3 s · 7 chars out · 2 calls\n"


def test_only_the_first_line_of_the_reasoning_is_shown_and_not_all_of_a_long_one() -> None:
    shown = _shown(_turn(), _acted(reasoning="\n  Plan:\nmore"), _cell())
    assert " · Plan: · " in shown
    shown = _shown(_turn(), _acted(reasoning="word " * 100), _cell())
    assert "…" in shown
    assert len(shown) < 160


def test_a_failed_cell_and_failed_calls_are_told_with_the_last_reason() -> None:
    shown = _shown(_turn(), _acted(), *_call(1, "lm: no key\ndetail"), *_call(2), _cell(failed=True))
    assert "cell 0.3 s (failed) · 7 chars out · 2 calls · 1 failed: lm: no key\n" in shown


def test_calls_are_counted_by_turn() -> None:
    shown = _shown(_turn(1), _acted(1), *_call(1), _cell(1), _turn(2), _acted(2), _cell(2))
    assert shown.splitlines()[0].endswith(" · 1 call")
    assert "call" not in shown.splitlines()[1]


def test_a_reply_without_code_has_its_line_too() -> None:
    shown = _shown(_turn(1), _acted(1, code=""), _turn(2), _acted(2), _cell(2))
    assert [line.split(" · ")[0] for line in shown.splitlines()] == ["turn 1", "turn 2"]
    assert shown.splitlines()[0].endswith("no code")


@pytest.mark.parametrize(
    ("reason", "usage", "line"),
    [
        ("submitted", Usage(prompt_tokens=1200, completion_tokens=34), "submitted · 4.2 s · 1,234 tokens · $0.0000\n"),
        ("cancelled", Usage(cost_usd=None), "stopped · 4.2 s · 0 tokens · cost unknown\n"),
        ("error", Usage(cost_usd=0.5), "ended by an error · 4.2 s · 0 tokens · $0.5000\n"),
    ],
)
def test_the_end_tells_reason_time_and_spending(reason: TerminationReason, usage: Usage, line: str) -> None:
    assert _shown(_finished(reason, usage)) == line


def test_full_shows_reasoning_code_and_output_whole_and_in_order() -> None:
    acted = _acted(reasoning="First.\nThen.", code="for x in y:\n    print(x)")
    lines = _shown(_turn(), acted, _cell(output="one\ntwo"), full=True).splitlines()
    assert lines == [
        "turn 1 · model 0.8 s",
        "  First.",
        "  Then.",
        "  > for x in y:",
        "  >     print(x)",
        "  | one",
        "  | two",
        "  cell 0.3 s · 7 chars out",
    ]


def test_a_log_gets_no_status_line() -> None:
    shown = _shown(RunStarted(run_id="r", task="", inputs={}, max_iters=1, max_llm_calls=1), _turn(), _acted(), _cell())
    assert "\x1b" not in shown
    assert "\r" not in shown


def test_a_terminal_gets_a_status_line_that_each_line_replaces() -> None:
    started, finished = _call(1)
    shown = _shown(_turn(3), _acted(3), started, started, finished, _cell(3), live=True)
    steps = shown.split("\r\x1b[2K")[1:]
    assert steps[:2] == ["turn 3: asking the model", "turn 3: running the cell"]
    assert steps[2:5] == [f"llm_query: {done} of {of} calls done" for done, of in [(0, 1), (0, 2), (1, 2)]]
    assert steps[5].startswith("turn 3 · ")
    assert steps[5].endswith("\n")


def test_a_status_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    assert _shown(_turn(3), live=True) == "\r\x1b[2Kturn 3: ask"


def test_what_a_terminal_would_obey_is_spelt_out() -> None:
    assert printable("a\x1b[2Jb\x9b1mc\rd\x7f\n\te") == "a\\x1b[2Jb\\x9b1mc\\x0dd\\x7f\n\te"
    shown = _shown(_turn(), _acted(reasoning="\x1b]0;x\x07"), _cell(output="\x1b[1A"), full=True)
    assert "\x1b" not in shown


def test_events_from_many_threads_are_all_counted() -> None:
    stream = io.StringIO()
    display = TurnDisplay(stream, live=True)
    display(_turn())
    display(_acted())
    calls = [_call(number) for number in range(200)]
    threads = [threading.Thread(target=lambda pair=pair: [display(event) for event in pair]) for pair in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    display(_cell())
    assert stream.getvalue().endswith(" · 200 calls\n")
