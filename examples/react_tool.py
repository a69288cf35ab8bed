"""An RLM as a tool of a ReAct agent. Needs no key: `python examples/react_tool.py`.

With a model: `python examples/react_tool.py openai/gpt-5`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import dspy

from rlm_module import RLM, OfflineLM

LINES = [f"{n:06}: pump {n % 7} ran at {n * 37 % 100} per cent" for n in range(30_000)]
LOG = "\n".join([*LINES, "030000: the spare key of pump 5 is behind the blue gauge"])


class Help(dspy.Signature):
    """Help the plant's people."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Agent(dspy.Module):
    """Holds the RLM as a part of its own, not only in the tool: so it is saved and compiled with the agent."""

    def __init__(self, log: str) -> None:
        super().__init__()
        self.reader = RLM("log, question -> answer")

        def ask_log(question: str) -> str:
            """Answers a question from the plant's log, however long that is."""
            return str(self.reader(log=log, question=question).answer)

        self.react = dspy.ReAct(Help, tools=[ask_log], max_iters=4)

    def forward(self, question: str) -> dspy.Prediction:
        return self.react(question=question)


class PlannedLM(OfflineLM):
    """OfflineLM as an agent's model, which it is too simple to be: it asks the log once, then finishes."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        messages: list[dict[str, Any]] = kwargs.get("messages") or []
        if not messages or "next_tool_name" not in messages[0]["content"]:
            return super().__call__(*args, **kwargs)
        has_asked = "observation_0" in messages[-1]["content"]
        asked = {"question": "Where is the spare key of pump 5?"}
        step = {
            "next_thought": "I know." if has_asked else "The log should say.",
            "next_tool_name": "finish" if has_asked else "ask_log",
            "next_tool_args": json.dumps({} if has_asked else asked),
        }
        return ["\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in step.items())]


def main(lm: dspy.LM | None = None) -> str:
    with dspy.context(lm=lm or PlannedLM()):
        prediction = Agent(LOG)(question="Where is the spare key of pump 5?")
    return str(prediction.trajectory["observation_0"])


if __name__ == "__main__":
    print(main(*map(dspy.LM, sys.argv[1:2])))
