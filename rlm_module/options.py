"""What an RLM may be made with; each check names the fault and its mend in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspy.primitives.code_interpreter import CodeInterpreter

from rlm_module.budget import check_budget, is_number
from rlm_module.errors import InputError

if TYPE_CHECKING:
    from rlm_module.module import RLM

_LEAST = {"max_depth": 0, "max_iters": 1, "max_llm_calls": 0, "max_output_chars": 1, "concurrency": 1}


class SubLMs:
    """The LMs that an RLM was given for sub-calls.

    Args:
        default: The one that is asked where no name is given; None for the root's.
        named: Others by name.

    Raises:
        InputError: If one of them is no LM.
    """

    def __init__(self, default: Any, named: Any) -> None:
        if not isinstance(named, Mapping):
            raise InputError(
                "sub_lms must be a dict of LMs by name, such as {'strong': dspy.LM(...)}, "
                f"not {type(named).__name__}."
            )
        for name, lm in named.items():
            if not isinstance(name, str):
                raise InputError(f"sub_lms must have texts as names, which generated code writes, not {name!r}.")
            check_lm(f"sub_lms[{name!r}]", lm)
        if default is not None:
            check_lm("sub_lm", default)
        self.default = default
        self.named = dict(named)


def check_lm(name: str, lm: Any) -> None:
    """Checks what is to be asked as an LM.

    Args:
        name: What the error calls it.
        lm: A dspy LM, or any callable that takes a prompt.

    Raises:
        InputError: If it is neither.
    """
    if isinstance(lm, str):
        raise InputError(f"{name} must be an LM, not its name; pass dspy.LM({lm!r}).")
    if not callable(lm):
        raise InputError(f"{name} must be a dspy.LM, or a function that takes a prompt, not {type(lm).__name__}.")


def check_options(rlm: RLM, models: SubLMs) -> None:
    """Checks an RLM's limits and options, any of which may have been set since it was made.

    Args:
        rlm: The RLM.
        models: Its LMs for sub-calls.

    Raises:
        InputError: If one makes no sense.
    """
    for name, least in _LEAST.items():
        value = getattr(rlm, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}.")
    if not is_number(rlm.tool_seconds) or rlm.tool_seconds <= 0:
        raise InputError(f"tool_seconds must be a number above 0, not {rlm.tool_seconds!r}.")
    if not is_number(rlm.compact_at) or not 0 < rlm.compact_at <= 1:
        raise InputError(f"compact_at is a share of the window, above 0 and at most 1, not {rlm.compact_at!r}.")
    check_budget(rlm.budget)
    if rlm.escalate_to is not None and rlm.escalate_to not in list(models.named):
        raise InputError(f"escalate_to names no LM of sub_lms: {rlm.escalate_to!r}; add it there.")


def journal_folder(journal: Any) -> Path | None:
    """The folder in which runs are recorded; None for none.

    Raises:
        InputError: If it is no path.
    """
    if journal is not None and not isinstance(journal, (str, PathLike)):
        raise InputError(f"journal must be the path of a folder, such as 'runs', not {journal!r}.")
    return None if journal is None else Path(journal)


def check_factory(factory: Any, name: str = "interpreter_factory") -> None:
    """Checks what is to make interpreters.

    Raises:
        TypeError: If it cannot.
    """
    if not isinstance(factory, type) and isinstance(factory, CodeInterpreter):
        raise TypeError(
            f"{name} must make a new interpreter for each run, but this is an interpreter; "
            "pass its class, or a function that makes one."
        )
    if not callable(factory):
        raise TypeError(f"{name} must be callable without arguments, not {type(factory).__name__}.")
