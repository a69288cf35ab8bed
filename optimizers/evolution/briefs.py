"""What a reflection model is told: what a text is for, what runs with it showed, and what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlm_module import RLM
from rlm_module.optimizers.evolution.components import Component, Components
from rlm_module.optimizers.evolution.lint import faults
from rlm_module.optimizers.evolution.replies import fence_for
from rlm_module.optimizers.evolution.rollouts import Rollout
from rlm_module.optimizers.shortening import ends

_TASK_CHARS = 1_500
_RECORD_CHARS = 12_000

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
_REVISED = (
    "These runs were made before the text was last revised, so some of what they show may be cared for by now. Look "
    "for what is not, in every record, and add that."
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
