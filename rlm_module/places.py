"""Where the modules of a program stand in it, in the words that dspy has for its predictors."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import dspy


def named_modules(program: dspy.Module, *, skip_frozen: bool = False) -> Iterator[tuple[str, dspy.Module]]:
    """Each module of a program once, by its shortest name, the program itself as "self" first.

    `dspy.Module.named_sub_modules` says `self.steps[first]` of what stands in a dict, but names the predictors in it
    `steps['first'].…`, and so do optimizers and saved files; here it is `self.steps['first']`.

    Args:
        program: It.
        skip_frozen: Whether its parts that are marked as compiled, which dspy neither saves nor compiles, are left out
            with all that is in them; the program itself is not.
    """
    waiting: deque[tuple[str, Any]] = deque([("self", program)])
    seen = {id(program)}
    while waiting:
        name, found = waiting.popleft()
        if skip_frozen and found is not program and getattr(found, "_compiled", False):
            continue
        if isinstance(found, dspy.Module):
            yield name, found
        for end, part in _parts(found):
            if id(part) not in seen:
                seen.add(id(part))
                waiting.append((f"{name}{end}", part))


def _parts(found: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(found, dspy.Module):
        return [(f".{name}", part) for name, part in list(vars(found).items())]
    if isinstance(found, (list, tuple)):
        items: Any = found
        return [(f"[{index}]", part) for index, part in enumerate(list(items))]
    if isinstance(found, dict):
        pairs: Any = found
        return [(f"['{key}']", part) for key, part in list(pairs.items())]
    return []
