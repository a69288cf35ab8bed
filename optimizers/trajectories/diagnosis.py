"""What went wrong in a run, and what it wasted, as figures and as plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlm_module.events import AnyEvent, LMCalled, TerminationReason, Usage
from rlm_module.optimizers.trajectories.runtree import REFUSED, ToldCall, ToldNode, ToldTurn, code_key, error_line, told
from rlm_module.optimizers.trajectories.unread import unread_share

_MUCH_UNREAD = 0.05
_BUDGETS: Mapping[str, str] = {
    "budget:cost": "its money",
    "budget:tokens": "its tokens",
    "budget:seconds": "its time",
    "budget:calls": "its sub-calls",
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How one run of an RLM went.

    Args:
        turns: Of its root, as all that follows up to `refused_submissions`.
        failed_cells: Cells that raised, were stopped, or submitted what was refused.
        repeated_turns: Turns with the code, or the error, of an earlier one.
        empty_turns: Turns whose reply held no code.
        refused_submissions: Submissions that were refused.
        sub_calls: Calls to sub-LMs and child RLMs, a batch being as many as it has items; those of the whole tree.
        failed_sub_calls: How many of them failed.
        unread_share: Share of the input text that stood in no prompt; None where it is small or not known.
        reason: Why the run ended; `error` for one that was cut off.
        fell_back: Whether the answer was drawn up from the record, since none was accepted.
        cost_usd: Of the whole tree, in US dollars; None if a price is not known.
        tokens: Of the whole tree.
        seconds: Wall time.
        met_shared_limit: Whether it ended for want of money or tokens that several runs share.
    """

    turns: int
    failed_cells: int
    repeated_turns: int
    empty_turns: int
    refused_submissions: int
    sub_calls: int
    failed_sub_calls: int
    unread_share: float | None
    reason: TerminationReason
    fell_back: bool
    cost_usd: float | None
    tokens: int
    seconds: float
    met_shared_limit: bool = False

    def sentences(self) -> list[str]:
        """What went wrong or was wasted; empty for a run without fault."""
        found = [self._ending()] if self.reason != "submitted" else []
        if self.fell_back:
            found.append("No answer was submitted and accepted; one was drawn up from the record afterwards.")
        for number, what in (
            (self.failed_cells, f"(of {self.turns:,}) ran code that failed"),
            (self.refused_submissions, "submitted an answer that was refused"),
            (self.repeated_turns, "repeated the code or the error of an earlier turn"),
            (self.empty_turns, "held no code to run"),
        ):
            if number:
                found.append(f"{_count(number, 'turn')} {what}.")
        if self.failed_sub_calls:
            found.append(f"{self.failed_sub_calls:,} of {_count(self.sub_calls, 'sub-call')} failed.")
        if self.unread_share is not None and self.unread_share > _MUCH_UNREAD:
            share = f"{self.unread_share:.0%}".replace("%", " %")
            found.append(f"About {share} of the input text was never shown to any LM; at most code looked at it.")
        return found

    def cost_line(self) -> str:
        """What the run took, in one sentence."""
        cost = "" if not self.cost_usd else f", ${self.cost_usd:.4f}"
        return (
            f"It took {_count(self.turns, 'turn')}, {_count(self.sub_calls, 'sub-call')}, {self.tokens:,} tokens, "
            f"{self.seconds:.1f} s{cost}."
        )

    def _ending(self) -> str:
        if self.reason == "max_iters":
            return f"The run used all of its {_count(self.turns, 'turn')} without an accepted answer."
        if self.reason in _BUDGETS:
            whose = ", which it shares with other runs," if self.met_shared_limit else ""
            return f"The run ended because {_BUDGETS[self.reason]}{whose} had run out."
        return "The run was cancelled." if self.reason == "cancelled" else "The run ended with an error."


def diagnose(events: Sequence[AnyEvent], inputs: Mapping[str, Any] | None = None) -> Diagnosis:
    """What is to be said of a run.

    Args:
        events: All of one root run's, ended or not.
        inputs: Its inputs, by which is told how much of their text was read; None where they are not known.
    """
    root = told(events)
    turns = list(root.turns.values())
    cells = [turn.cell for turn in turns if turn.cell is not None]
    calls = [call for node in _nodes(root) for call in _sub_calls(node)]
    usage = _spent(events)
    return Diagnosis(
        turns=len(turns),
        failed_cells=sum(cell.failed for cell in cells),
        repeated_turns=len(repeats(turns)),
        empty_turns=sum(turn.acted is not None and not turn.acted.code.strip() for turn in turns),
        refused_submissions=sum(cell.failed and REFUSED in cell.output for cell in cells),
        sub_calls=len(calls),
        failed_sub_calls=sum(call.error is not None for call in calls),
        unread_share=unread_share(events, inputs),
        reason=root.finished.reason if root.finished else "error",
        fell_back=root.extracted is not None,
        cost_usd=usage.cost_usd,
        tokens=usage.tokens,
        seconds=_seconds(events, root),
        met_shared_limit=root.finished is not None and root.finished.met_shared_limit,
    )


def repeats(turns: Sequence[ToldTurn]) -> dict[int, int]:
    """Numbers of turns that repeat an earlier one, with that one's: in their code, or in the error it led to."""
    by_code, by_error, found = dict[str, int](), dict[str, int](), dict[int, int]()
    for turn in turns:
        code = code_key(turn.acted.code) if turn.acted is not None else ""
        error = error_line(turn.cell) if turn.cell is not None and turn.cell.failed else ""
        earlier = by_code.get(code) if code else None
        earlier = by_error.get(error) if earlier is None and error else earlier
        if earlier is not None:
            found[turn.number] = earlier
        by_code.setdefault(code, turn.number)
        by_error.setdefault(error, turn.number)
    return found


def _nodes(root: ToldNode) -> list[ToldNode]:
    found = [root]
    for node in found:  # grows while it is gone through
        found += [one.child for turn in node.turns.values() for call in turn.calls for one in call.singles if one.child]
    return found


def _sub_calls(node: ToldNode) -> list[ToldCall]:
    """Calls that asked an LM, or were to; a user's tool is none."""
    singles = (one for turn in node.turns.values() for call in turn.calls for one in call.singles)
    return [one for one in singles if one.prompt or one.child or one.started.function in _ASKING]


_ASKING = frozenset({"llm_query", "predict", "rlm_query"})


def _spent(events: Sequence[AnyEvent]) -> Usage:
    calls = cached = asked = replied = 0
    cost, known = 0.0, True
    for event in events:
        if isinstance(event, LMCalled):
            usage = event.usage
            calls, cached = calls + usage.calls, cached + usage.cached_calls
            asked, replied = asked + usage.prompt_tokens, replied + usage.completion_tokens
            cost, known = cost + (usage.cost_usd or 0.0), known and usage.cost_usd is not None
    return Usage(calls, cached, asked, replied, cost if known else None)


def _seconds(events: Sequence[AnyEvent], root: ToldNode) -> float:
    if root.finished is not None:
        return root.finished.seconds
    return max(0.0, events[-1].at - events[0].at) if events else 0.0


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
