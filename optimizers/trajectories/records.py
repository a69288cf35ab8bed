"""Runs as bounded text that a reflection model reads: every turn, what it printed, and what it asked sub-LMs."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rlm_module.errors import InputError
from rlm_module.events import AnyEvent
from rlm_module.journal import Journal
from rlm_module.optimizers.paths import plain_path
from rlm_module.optimizers.shortening import ends, one_line
from rlm_module.optimizers.trajectories.diagnosis import Diagnosis, diagnose, repeats
from rlm_module.optimizers.trajectories.layout import Exchange, Passage, Section
from rlm_module.optimizers.trajectories.runtree import ToldCall, ToldNode, ToldTurn, told
from rlm_module.prompting.demos import without_limits

_LEAST_TURN, _LEAST_CALL = 160, 44
_TASK_CHARS = 1_600
_CHILD_CHARS = 4_000
_PROMPT_CHARS, _REPLY_CHARS = 1_500, 3_000
_PASSAGE_CHARS = 12_000
_ERRORS = 3
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run, as far as a reflection model has to know it.

    Args:
        path: Where its RLM stands in the program, such as `reader`; empty where the program is the RLM.
        text: What happened, in bounded length.
        diagnosis: What went wrong.
    """

    path: str
    text: str
    diagnosis: Diagnosis

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"path": self.path, "text": self.text, "diagnosis": asdict(self.diagnosis)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunRecord:
        """What `to_json` gave.

        Raises:
            InputError: If it is something else.
        """
        try:
            return cls(str(data["path"]), str(data["text"]), Diagnosis(**data["diagnosis"]))
        except (KeyError, TypeError) as error:
            raise InputError(f"This is no record of a run ({error}); it may be another version's.") from error


def records_of(
    runs: Sequence[Journal], inputs: Mapping[str, Any] | None = None, *, chars: int = 12_000
) -> tuple[RunRecord, ...]:
    """A record of each run.

    Args:
        runs: As `capture_runs` yields them.
        inputs: The inputs of the program that they were runs of.
        chars: The longest that a rendering may be.
    """
    records: list[RunRecord] = []
    for run in runs:
        events = run.events
        records.append(RunRecord(plain_path(run.path), render(events, chars=chars), diagnose(events, inputs)))
    return tuple(records)


def render(events: Sequence[AnyEvent], *, chars: int = 12_000) -> str:
    """A run tree as text.

    Each turn is there with its reasoning, code and output, and each sub-call with prompt and reply; what is long loses
    its middle, and what cannot be shown at all is counted.

    Args:
        events: All of one root run's, ended or not.
        chars: The longest that it may be.
    """
    return _node(told(events), 0).show(chars)


def _node(node: ToldNode, depth: int) -> Section:
    turns, earlier, outputs = list(node.turns.values()), repeats(list(node.turns.values())), dict[str, int]()
    parts: list[Passage | Section] = []
    if node.started is not None:
        request = next((turn.acted.request for turn in turns if turn.acted is not None), "")
        parts.append(Passage("Task:", ends(without_limits(request) or node.started.fields, _TASK_CHARS), 0.7, True))
    for turn in turns:
        parts.append(_turn(turn, earlier.get(turn.number), outputs, depth, turn is turns[-1]))
    parts.append(Passage("Ended:", _ending(node), 4.0, True))
    return Section(heading="", parts=parts, noun="turn", least=_LEAST_TURN)


def _turn(turn: ToldTurn, repeated: int | None, outputs: dict[str, int], depth: int, is_last: bool) -> Section:
    acted, cell, parts = turn.acted, turn.cell, list[Passage | Section | Exchange]()
    if acted is not None and acted.reasoning.strip():
        parts.append(Passage("Reasoning:", _bounded(acted.reasoning), 0.6))
    if acted is not None and acted.code.strip():
        parts.append(Passage("Code:", _bounded(acted.code)))
    elif acted is not None:
        parts.append(Passage("Code:", f"none ({acted.language} is not run)" if acted.language else "none"))
    parts += [Passage("The LM failed:", _bounded(error), 1.0, True) for error in turn.errors[:_ERRORS]]
    for calls in turn.calls:
        parts.append(_calls(calls, depth))
    if cell is not None:
        first = outputs.setdefault(cell.output, turn.number)
        same = f"(as in turn {first})"
        text = cell.output if first == turn.number or len(cell.output) <= len(same) else same
        parts.append(Passage("Output:", _bounded(text), 2.2))
    notes = [
        *(["failed"] if cell is not None and cell.failed else []),
        *([cell.ended] if cell is not None and cell.ended != "completed" else []),
        *([f"repeats turn {repeated}"] if repeated is not None else []),
        *(["older turns were shortened before it"] if turn.is_compacted else []),
    ]
    heading = f"Turn {turn.number} ({', '.join(notes)})" if notes else f"Turn {turn.number}"
    is_urgent = turn.needs_attention or is_last
    return Section(heading=heading, parts=parts, least=30, weight=1.5 if is_urgent else 1.0, is_urgent=is_urgent)


def _calls(call: ToldCall, depth: int) -> Section | Exchange:
    if not call.items:
        return _call(call, f"{call.started.function}: ", "", depth)
    failed = sum(one.error is not None for one in call.items)
    heading = f"{call.started.function}, {len(call.items):,} calls{f', {failed:,} failed' if failed else ''}:"
    first = call.items[0].prompt
    parts = [_call(one, "", first if place else "", depth) for place, one in enumerate(call.items)]
    return Section(
        heading=heading,
        parts=parts,
        noun="call",
        least=_LEAST_CALL,
        indent=2,
        weight=1.6 + 0.8 * min(len(parts), 4),
        is_urgent=bool(failed),
    )


def _call(call: ToldCall, name: str, first: str, depth: int) -> Section | Exchange:
    if call.child is not None and depth < _DEEPEST:
        inner = _node(call.child, depth + 1)
        return Section(heading=f"- {name}a child RLM:", parts=[inner], indent=4, weight=2.4, most=_CHILD_CHARS)
    asked = one_line(_news(call.prompt, first) if call.prompt else call.started.arguments, _PROMPT_CHARS)
    if call.error is not None:
        answer = f"failed: {one_line(call.error, _REPLY_CHARS)}"
    elif call.finished is None:
        answer = "not answered before the run ended"
    else:
        answer = one_line(call.reply or _answer(call), _REPLY_CHARS) or "(see the output)"
    return Exchange(f"{name}{asked}", answer, 1.6, call.error is not None)


def _ending(node: ToldNode) -> str:
    if node.finished is None:
        return "not by itself; it was cut off."
    usage, reason = node.finished.usage, node.finished.reason
    fallback = ", and an answer was drawn up from the record" if node.extracted is not None else ""
    cost = f", ${usage.cost_usd:.4f}" if usage.cost_usd else ""
    outputs = node.finished.outputs or (node.extracted.outputs if node.extracted is not None else {})
    answer = ", ".join(f"{name}={_glimpse(value)}" for name, value in list(outputs.items())[:20])
    spent = f"{usage.tokens:,} tokens, {node.finished.seconds:.1f} s{cost}"
    return f"{reason}{fallback}, after {len(node.turns):,} turns, {spent}. Answer: {answer or 'none'}"


def _news(prompt: str, first: str) -> str:
    """A prompt without the beginning that it shares with another one."""
    shared, reach = 0, min(len(prompt), len(first), 20_000)
    step = 1 << max(0, reach.bit_length() - 1)
    while step:
        if shared + step <= reach and prompt[shared : shared + step] == first[shared : shared + step]:
            shared += step
        step >>= 1
    shared = max(0, prompt.rfind(" ", 0, shared) + 1) if shared < len(prompt) else shared
    return prompt if shared < 60 else f"(as above, then) {prompt[shared:] or 'nothing else'}"


def _answer(call: ToldCall) -> str:
    """What generated code got, of a call that no LM answered."""
    answer = call.finished.answer if call.finished is not None else None
    if answer is None or len(answer) > 100_000:
        return answer[:_REPLY_CHARS] if answer else ""
    try:
        kind, value = json.loads(answer)
    except ValueError:
        return answer
    return value if isinstance(value, str) else f"{kind} {json.dumps(value)}"


def _bounded(text: str) -> str:
    return ends(text.strip("\n"), _PASSAGE_CHARS)


def _glimpse(value: Any) -> str:
    try:
        return _SHORT.repr(value)
    except Exception as error:  # a user's type may have a repr that fails
        return f"<{type(value).__name__}: {type(error).__name__}>"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 300
