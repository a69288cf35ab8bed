"""Deep copies of what a program holds, also where a part of it cannot be copied and has to be shared."""

from __future__ import annotations

import copy
from typing import Any

import dspy


def copied(value: Any, memo: dict[int, Any]) -> Any:
    """A deep copy. What cannot be copied, such as a lock, is shared, and all around it is copied all the same.

    Args:
        value: Anything.
        memo: What was copied before in the same copy, as `copy.deepcopy` keeps it.
    """
    if id(value) in memo:
        return memo[id(value)]
    known = set(memo)
    try:
        return copy.deepcopy(value, memo)
    except Exception:
        for half_copied in memo.keys() - known - {id(memo)}:
            del memo[half_copied]
    made: Any = value
    if type(value) in (list, tuple):
        made = type(value)(copied(item, memo) for item in value)
    elif type(value) is dict:
        made = {key: copied(item, memo) for key, item in value.items()}
    elif isinstance(value, dspy.Module):
        made = object.__new__(type(value))
        memo[id(value)] = made
        state: Any = dspy.Module.__getstate__(value)
        dspy.Module.__setstate__(made, {name: copied(item, memo) for name, item in state.items()})
    memo[id(value)] = made
    return made
