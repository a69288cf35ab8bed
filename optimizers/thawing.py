"""Undoes the freezing that stock optimizers leave behind."""

from __future__ import annotations

from typing import TypeVar

import dspy

ProgramT = TypeVar("ProgramT", bound=dspy.Module)


def thaw(program: ProgramT) -> ProgramT:
    """Lets `save`, `set_lm` and optimizers see all of a program again.

    BootstrapFewShot, random search over it and BetterTogether mark what they return as compiled. A program that it
    becomes a part of then hides it from its own `named_parameters()`: saving the program silently loses what was
    learned, and compiling the program passes it by. Call this on what they return, or on the program that holds it,
    before that is saved; also on one that was loaded whole.

    Args:
        program: Mended in place, with every module in it, however deep in lists and dicts.

    Returns:
        The same program.
    """
    for _, module in program.named_sub_modules(dspy.Module):
        vars(module)["_compiled"] = False
    return program
