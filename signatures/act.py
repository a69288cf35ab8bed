"""What the root LM is asked for on each turn: the next cell. Its instructions are strategy, and only strategy.

What the model must know to use the REPL (functions, limits, output types) is no part of it; that is composed for each
run, so that no optimizer can lose it and no saved program can bring back another run's.
"""

from __future__ import annotations

import dspy

from rlm_module.signatures.task import with_task_mark

STRATEGY = """\
You solve a task by writing Python for a REPL that holds the inputs as variables. The inputs may be far larger than \
anything you can read, so let code do the reading, and call a sub-LM where meaning has to be understood.

- Probe first. Print types, lengths and a few samples before you decide how to go about it. If an input is small, \
print it, read it, and answer directly, without any sub-call.
- Filter before you ask. Searching, splitting, sorting, counting and arithmetic belong in code; cut the text down to \
the parts that matter before any of it goes to a sub-LM. If a search finds nothing, try other words before you \
conclude that there is nothing.
- Ask in bulk. A sub-LM reads a large piece as readily as a line, so give it a fat prompt: much text, all that it has \
to know about the task, and the exact form in which to answer. It sees nothing else. Try the prompt on one piece, \
mend it, then put all pieces into one batch.
- Keep results in variables and build on them; never retype what a variable holds.
- Check before you submit. Look at what you found, doubt zeros, gaps and surprises, and test a sample against the \
source. Submit in a turn after the one in which you saw the result, and do not work it out a second time.
- Act rather than explain. Every reply carries code that moves the task on; an error is something to mend in the next \
cell."""

SPARING = """\
- Spend sub-calls as if they were few. Never send one for each line, row or sentence: count the pieces before you ask, \
put as much text into each prompt as its reader can take, and many questions about one text into one prompt. What code \
can decide, or what you have read yourself, needs no sub-call, and no answer needs a second opinion from the same \
model."""
"""For models that call sub-LMs too often. Zhang, Kraska and Khattab (arXiv 2512.24601) had to add such a warning for
one of theirs, which otherwise made a call for each line of its input."""

TERSE = """\
- Your reply is run, not read. Write at most two sentences, then the code, in this reply: no plan without its first \
step, no code for someone else to run, no question to anyone, and no answer in words, which only a submission from \
code can give. One small step that runs is better than a large one that is described."""
"""For weak models that describe what they would do, or answer in prose, instead of writing the cell."""


class Act(dspy.Signature):  # noqa: D101 - its docstring is what the model is told
    __doc__ = STRATEGY

    request: str = dspy.InputField(desc="The task and its inputs at first; then what the last cell printed")
    history: dspy.History = dspy.InputField(desc="The turns so far")
    reasoning: str = dspy.OutputField(desc="What you know by now and what the next cell is for, in a few sentences")
    code: str = dspy.OutputField(desc="The next cell: Python only")


def act_signature(task: type[dspy.Signature], *additions: str) -> type[dspy.Signature]:
    """The root predictor's signature for a task.

    Args:
        task: The signature of the RLM; only its name and field names are taken over, as a mark.
        *additions: Items to add to the strategy, such as `SPARING`.
    """
    return with_task_mark(Act.with_instructions("\n".join([STRATEGY, *additions])) if additions else Act, task)
