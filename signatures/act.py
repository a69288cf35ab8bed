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
print it, read it, and answer directly.
- Filter before you ask. Searching, splitting, sorting, counting and arithmetic belong in code; cut the text down to \
the parts that matter before any of it goes to a sub-LM.
- Ask in bulk. Put many independent prompts into one batched call rather than one call after another, and give every \
sub-LM a fat prompt: a large piece of text, all that it needs to know about the task, and the exact form in which to \
answer. It sees nothing else.
- Keep results in variables and build on them; never retype what a variable holds.
- Check before you submit. Look at what you found, doubt zeros, gaps and surprises, and test a sample against the \
source. Submit in a turn after the one in which you saw the result.
- Act rather than explain. Every reply carries code that moves the task on; an error is something to mend in the next \
cell."""


class Act(dspy.Signature):  # noqa: D101 - its docstring is what the model is told
    __doc__ = STRATEGY

    request: str = dspy.InputField(desc="The task and its inputs at first; then what the last cell printed")
    history: dspy.History = dspy.InputField(desc="The turns so far")
    reasoning: str = dspy.OutputField(desc="What you know by now and what the next cell is for, in a few sentences")
    code: str = dspy.OutputField(desc="The next cell: Python only")


def act_signature(task: type[dspy.Signature]) -> type[dspy.Signature]:
    """The root predictor's signature for a task.

    Args:
        task: The signature of the RLM; only its name and field names are taken over, as a mark.
    """
    return with_task_mark(Act, task)
