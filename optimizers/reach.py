"""Which RLMs of a program dspy finds, so that what they learn is saved."""

from __future__ import annotations

from typing import Any

import dspy

from rlm_module.errors import InputError
from rlm_module.optimizers.paths import rlms_of


def require_reach(program: dspy.Module) -> None:
    """Refuses a program with an RLM in a container within a container, where dspy looks for no predictors.

    Args:
        program: It; parts of it that are marked as compiled count as found, since they can be thawed.

    Raises:
        InputError: If there is one.
    """
    reached: dict[int, dspy.Module] = {}
    waiting = [program]
    while waiting:
        module = waiting.pop()
        if id(module) not in reached:
            reached[id(module)] = module
            waiting += [part for value in vars(module).values() for part in _flat(value)]
    lost = [path for path, rlm in rlms_of(program).items() if id(rlm) not in reached]
    if lost:
        raise InputError(
            f"What the RLM at `{lost[0]}` learns could not be saved, since dspy finds no "
            "predictors in lists or dicts within others; make it an attribute, or an item of a list or dict that is."
        )


def _flat(value: Any) -> list[dspy.Module]:
    items: Any = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
    return [item for item in items if isinstance(item, dspy.Module)]
