"""Shows a run while it happens: a line a turn, and on a terminal a status line for what is under way."""

from __future__ import annotations

import shutil
import threading
from typing import TextIO

from rlm_module.events import (
    Acted,
    AnyEvent,
    CallFinished,
    CallStarted,
    CellFinished,
    Compacted,
    Diverged,
    Resumed,
    RunFinished,
    RunStarted,
    TurnStarted,
    Usage,
)

REASONING_WIDTH, _ERROR_WIDTH = 90, 240
_ERASE = "\r\x1b[2K"
BULLET = " · "
# A document or a model may hold escape sequences; on a terminal they could rewrite what was shown before.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """The text with its control characters spelt out, so that a terminal shows it and does not obey it."""
    return text.translate(_CONTROLS)


def spent(usage: Usage) -> str:
    """Tokens and money in a few words."""
    cost = "cost unknown" if usage.cost_usd is None else f"${usage.cost_usd:.4f}"
    return f"{usage.tokens:,} tokens{BULLET}{cost}"


class TurnDisplay:
    """Writes what a run's events tell, as `capture_runs(on_event=TurnDisplay(sys.stderr))`; from any thread.

    Args:
        stream: Where to.
        full: Whether each turn's reasoning, code and output are shown whole.
        live: Whether to keep a status line; None: where `stream` is a terminal.
    """

    def __init__(self, stream: TextIO, *, full: bool = False, live: bool | None = None) -> None:
        self._stream = stream
        self._full = full
        self._live = stream.isatty() if live is None else live
        self._lock = threading.Lock()
        self._acted: Acted | None = None
        self._started = self._finished = self._children = 0
        self._errors: list[str] = []

    def __call__(self, event: AnyEvent) -> None:
        """Takes in one event."""
        with self._lock:
            self._take(event)
            self._stream.flush()

    def _take(self, event: AnyEvent) -> None:
        if event.node:
            self._take_from_child(event)
        elif isinstance(event, CallStarted | CallFinished):
            self._take_call(event)
        else:
            self._take_turn(event)

    def _take_turn(self, event: AnyEvent) -> None:
        match event:
            case RunStarted():
                self._status("starting")
            case Resumed():
                self._line(f"resumed after {event.turns:,} recorded turns")
            case TurnStarted():
                self._close_turn(None)
                self._started, self._finished, self._children, self._errors = 0, 0, 0, []
                self._status(f"turn {event.turn}: asking the model")
            case Acted():
                self._acted = event
                if self._full:
                    self._write_action(event)
                self._status(f"turn {event.turn}: running the cell")
            case CellFinished():
                self._close_turn(event)
            case Compacted():
                shown = f"turns up to {event.turn:,} are" if event.turn else "long output is"
                self._line(f"  {shown} shown to the model in short from now on")
            case Diverged():
                self._line(f"  turn {event.turn:,} did not repeat itself ({event.what}); going on live")
            case RunFinished():
                self._close_turn(None)
                ending = _ENDINGS.get(event.reason, event.reason)
                self._line(BULLET.join((ending, f"{event.seconds:.1f} s", spent(event.usage))))
            case _:
                pass

    def _take_from_child(self, event: AnyEvent) -> None:
        """What happens in a child RLM shows in the counts and the status line of the turn that opened it."""
        match event:
            case RunStarted():
                self._children += 1
            case TurnStarted():
                self._status(f"child {event.node}, turn {event.turn}: {self._finished} of {self._started} calls done")
            case _:
                pass

    def _take_call(self, event: CallStarted | CallFinished) -> None:
        if event.function.endswith("_batched"):
            return  # its items are told of
        if isinstance(event, CallStarted):
            self._started += 1
        else:
            self._finished += 1
            self._errors += [event.error] if event.error is not None else []
        self._status(f"{event.function}: {self._finished} of {self._started} calls done")

    def _write_action(self, event: Acted) -> None:
        self._line(f"turn {event.turn}{BULLET}model {event.seconds:.1f} s")
        self._block(event.reasoning, "  ")
        self._block(event.code, "  > ")

    def _close_turn(self, cell: CellFinished | None) -> None:
        """Writes what the turn came to; a reply without code has no cell."""
        acted, self._acted = self._acted, None
        if acted is None and cell is None:
            return
        facts: list[str] = []
        if acted is not None and not self._full:
            facts += [
                f"turn {acted.turn}",
                first_line(acted.reasoning, REASONING_WIDTH),
                f"model {acted.seconds:.1f} s",
            ]
        if cell is None:
            facts.append("no code")
        else:
            facts.append(f"cell {cell.seconds:.1f} s{' (failed)' if cell.failed else ''}")
            facts.append(f"{len(cell.output):,} chars out")
        if self._started:
            facts.append(f"{self._started:,} {'call' if self._started == 1 else 'calls'}")
        if self._children:
            facts.append(f"{self._children:,} {'child' if self._children == 1 else 'children'}")
        if self._errors:
            facts.append(f"{len(self._errors):,} failed: {first_line(self._errors[-1], _ERROR_WIDTH)}")
        if self._full and cell is not None:
            self._block(cell.output, "  | ")
        self._line(("  " if self._full else "") + BULLET.join(fact for fact in facts if fact))

    def _block(self, text: str, margin: str) -> None:
        for line in text.strip("\n").splitlines():
            self._line(margin + line)

    def _line(self, text: str) -> None:
        self._stream.write((_ERASE if self._live else "") + printable(text) + "\n")

    def _status(self, text: str) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(_ERASE + printable(text)[:width])


_ENDINGS = {
    "submitted": "submitted",
    "max_iters": "out of turns, answer drawn up from what was found",
    "budget:cost": "out of money, answer drawn up from what was found",
    "budget:tokens": "out of tokens, answer drawn up from what was found",
    "budget:seconds": "out of time, answer drawn up from what was found",
    "budget:calls": "out of sub-calls, answer drawn up from what was found",
    "error": "ended by an error",
    "cancelled": "stopped",
}


def first_line(text: str, width: int) -> str:
    """The first line that holds anything, cut to a width."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= width else line[: width - 1] + "…"
