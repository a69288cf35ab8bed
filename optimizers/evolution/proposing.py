"""What a reflection model is asked for a better text, and what is taken from its reply."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rlm_module import RLM
from rlm_module.optimizers.evolution.components import Component, Components
from rlm_module.optimizers.evolution.lint import faults
from rlm_module.optimizers.evolution.rollouts import Rollout
from rlm_module.optimizers.lineage import Dropped
from rlm_module.optimizers.trajectories.layout import encodable, ends

logger = logging.getLogger(__name__)

_DROPPED_CHARS = 4_000
_TASK_CHARS = 1_500
_RECORD_CHARS = 12_000
_ESSAY = 3_000
_FENCE = re.compile(r"^ {0,3}(`{3,})[ \t]*([^`\n]*)$", re.MULTILINE)
_UNCHANGED = re.compile(
    r"\W*(?:no (?:further )?changes?\b|nothing (?:to|in|needs)\b|unchanged\b"
    r"|(?:the|this) (?:current )?text (?:is|needs no)\b)",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"\W*(?:i'?m sorry|sorry,|i can(?:no|')t\b|i am (?:unable|not able)|as an ai\b)", re.IGNORECASE)
_PREFACE = re.compile(
    r"(?:here(?:'s| is| are)|sure|certainly|below|the (?:new|improved|revised))\b[^\n]{0,120}:[ \t]*\n", re.I
)

_KINDS = {
    "strategy": (
        "the strategy of {who}, a language model that solves a task by writing Python cells for a REPL, turn by turn. "
        "The REPL holds the inputs as variables, and code in it may call sub-models on pieces of them. The text tells "
        "the model how to go about its work"
    ),
    "extract": (
        "what {who} is told when its run in a Python REPL ended before it submitted an answer: how to draw up the best "
        "answer from the record of the run"
    ),
    "tools": "the description of the tool `{tool}`, by which {who} decides when and how its code calls it",
    "sub_calls": (
        "what sub-models are told before each prompt that the code of {who} sends them. They see that prompt and this "
        "text and nothing else"
    ),
    "predictor": "the instructions of {who}, one language model call in a larger program",
}
_REPL = (
    "The functions of the REPL, its tools, variables, limits and output types are told to the model elsewhere, anew "
    "for each run. Do not restate them, name no function that the text or the records do not show, and state no "
    "numbers of calls, turns or tokens."
)


@dataclass(frozen=True, slots=True)
class Brief:
    """What a text is for.

    Args:
        component: It.
        task: The signature it serves, in words.
        rlm: The one that is told it; None for a plain predictor's.
        max_chars: The longest text that is tried.
    """

    component: Component
    task: str
    rlm: RLM | None
    max_chars: int

    def faults(self, text: str) -> list[str]:
        """What is wrong with a proposed text."""
        return faults(text, self.rlm, self.max_chars)

    def request(self, text: str, records: Sequence[str], *, is_revised: bool = False) -> str:
        """Asks for a better text.

        Args:
            text: The current one.
            records: Of runs with it.
            is_revised: Whether it was revised after those runs.
        """
        who = f"`{self.component.owner}`" if self.component.owner else "the program"
        kind = _KINDS[self.component.kind].format(who=who, tool=self.component.tool)
        fence = fence_for(text)
        told = [
            f"You improve a text that is part of a program. It is {kind}.",
            f"Its task: {ends(self.task, _TASK_CHARS)}" if self.task else "",
            f"The current text:\n{fence}\n{text}\n{fence}",
            "Records of runs, each with what was said of its result:",
            *(f"--- Record {number} ---\n{record}" for number, record in enumerate(records, 1)),
            "--- End of the records ---",
            "" if self.component.kind == "predictor" else _REPL,
            "Find out from the records what went wrong and why, and change the text so that it will go well on new "
            "inputs of this kind. Keep what is good in it. Advice that holds in general is better than facts of one "
            "example.",
            _REVISED if is_revised else "",
            f"Reply with the whole new text in one fenced block ({fence} before and after it). Where nothing in these "
            "records calls for a change, reply with the current text as it is.",
        ]
        return "\n\n".join(part for part in told if part)

    def record(self, rollout: Rollout) -> str:
        """What the reflection model is shown of a run of the program."""
        owner = self.component.owner
        own = ["\n".join([record.text, *record.diagnosis.sentences()]) for record in rollout.of(owner)]
        if owner in rollout.steps:
            own.append(rollout.steps[owner])
        said = [rollout.fault or "", rollout.feedback, rollout.notes.get(owner, "")]
        feedback = "\n".join(dict.fromkeys(text for text in said if text))
        return "\n".join(
            [
                f"Inputs of the program:\n{rollout.inputs}",
                ends("\n\n".join(own), _RECORD_CHARS) if own else "It did not run.",
                f"Outputs of the program:\n{rollout.answer}" if rollout.answer else "The program gave no outputs.",
                f"Score: {rollout.score:g}",
                f"Feedback: {feedback}" if feedback else "No feedback was given.",
            ]
        )

    def repair(self, proposed: str, found: Sequence[str]) -> str:
        """Asks to mend what is wrong with a proposal."""
        fence = fence_for(proposed)
        return "\n\n".join(
            [
                "The text below was proposed for a part of a program, and cannot be used as it is.",
                f"The text:\n{fence}\n{ends(proposed, 4 * self.max_chars)}\n{fence}",
                "What is wrong with it:\n" + "\n".join(f"- {fault}" for fault in found),
                "Mend that and change nothing else. Reply with the whole text in one fenced block "
                f"({fence} before and after it).",
            ]
        )


_REVISED = (
    "These runs were made before the text was last revised, so some of what they show may be cared for by now. Look "
    "for what is not, in every record, and add that."
)


def briefs(components: Components, max_chars: int) -> dict[str, Brief]:
    """What each text of a program is for.

    Args:
        components: Its texts.
        max_chars: The longest text that is tried.
    """
    found: dict[str, Brief] = {}
    for name, part in components.parts.items():
        rlm = None if part.kind == "predictor" else components.rlms[part.owner]
        found[name] = Brief(part, components.task(part.owner), rlm, max_chars)
    return found


class Proposer:
    """Gets a better text out of a reflection model.

    Args:
        briefs: What each text is for.
        ask: Sends the model a request and returns its reply; empty where there is none.
        drop: Told of each text that is not tried.
    """

    def __init__(self, briefs: Mapping[str, Brief], ask: Callable[[str], str], drop: Callable[[Dropped], None]) -> None:
        self._briefs = briefs
        self._ask = ask
        self._drop = drop

    def record(self, name: str, rollout: Rollout) -> str:
        """What the model is to be shown of a run, to better that text."""
        return self._briefs[name].record(rollout)

    def propose(self, name: str, text: str, records: Sequence[str], *, most: int) -> str:
        """A better text, or the one given where the records call for no change or no reply can be tried.

        As a program run costs far more than a reply, the model is asked again over the same records, with its own new
        text, until that no longer changes.

        Args:
            name: The component.
            text: Its current text.
            records: Of runs with it.
            most: Replies to ask for, without repairs.
        """
        brief, current = self._briefs[name], text
        for number in range(most):
            revised = self._revise(brief, current, brief.request(current, records, is_revised=number > 0))
            if revised is None or same(revised, current):
                break
            current = revised
        return current

    def _revise(self, brief: Brief, text: str, request: str) -> str | None:
        """One revision; None where the reply holds none that can be tried."""
        reply = self._ask(request)
        proposed = read_text(reply, text)
        found = brief.faults(proposed) if proposed else [_fault(reply)]
        if not found:
            return proposed
        if proposed:
            mended = read_text(self._ask(brief.repair(proposed, found)), proposed)
            left = brief.faults(mended) if mended else ["The repaired text is empty."]
            if not left:
                return mended
            found = left
        dropped = Dropped(brief.component.name, ends(proposed or reply, _DROPPED_CHARS), tuple(found))
        logger.info("A text for %s was dropped: %s", brief.component.name, " ".join(found))
        self._drop(dropped)
        return None


def fence_for(text: str) -> str:
    """A fence that is longer than any in the text."""
    return "`" * max([3, *(len(found.group(1)) + 1 for found in _FENCE.finditer(text))])


def same(one: str, other: str) -> bool:
    """Whether two texts differ in space at most."""
    return one.split() == other.split()


def read_text(reply: str, current: str) -> str:
    """The text that a reply proposes: its last large fenced block, else all of it; empty where there is none.

    Args:
        reply: It.
        current: The text that was to be changed.
    """
    reply = encodable(reply)
    blocks = _blocks(reply)
    if blocks:
        longest = max(len(block) for block in blocks)
        return next(block for block in reversed(blocks) if 2 * len(block) >= longest).strip()
    whole = _PREFACE.sub("", reply.strip(), count=1) if _PREFACE.match(reply.strip()) else reply.strip()
    if _UNCHANGED.match(whole) and len(whole) < _ESSAY:
        return current
    return "" if _REFUSED.match(whole) or len(whole) > max(_ESSAY, 2 * len(current)) else whole.strip()


def _fault(reply: str) -> str:
    if not reply.strip():
        return "The reflection model replied with nothing."
    if _REFUSED.match(reply.strip()):
        return "The reflection model refused."
    return (
        "The reflection model replied with an essay, not with a text in a fence." if len(reply) > _ESSAY else "Empty."
    )


def _blocks(reply: str) -> list[str]:
    """Fenced blocks. A shorter fence inside a block is part of it, and one with a language opens a block within it."""
    blocks: list[str] = []
    depth = outer = begin = 0
    for found in _FENCE.finditer(reply):
        length, has_language = len(found.group(1)), bool(found.group(2).strip())
        if not depth:
            depth, outer, begin = 1, length, found.end() + 1
        elif length >= outer:
            depth += 1 if has_language else -1
            if not depth:
                blocks.append(reply[begin : found.start()])
    if depth:
        blocks.append(reply[begin:])
    return [block.strip("\n") for block in blocks if block.strip()]
