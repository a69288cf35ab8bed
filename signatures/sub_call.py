"""What a sub-LM is asked: what generated code wrote, after what was learned about how to ask.

By default nothing was learned, and a prompt goes out word for word.
"""

from __future__ import annotations

import dspy


def sub_call_prompt(prompt: str, guidance: str = "") -> str:
    """The prompt of a plain sub-call.

    Args:
        prompt: As generated code wrote it.
        guidance: What sub-LMs are told before each of them.
    """
    return f"{guidance.strip()}\n\n{prompt}" if guidance.strip() else prompt


def sub_call_signature(task: type[dspy.Signature], guidance: str = "") -> type[dspy.Signature]:
    """The signature of a typed sub-call: the guidance before its own instructions."""
    return task.with_instructions(sub_call_prompt(task.instructions, guidance)) if guidance.strip() else task
