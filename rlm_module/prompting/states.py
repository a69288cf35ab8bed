"""Whether a saved state fits the program that is to take it over, in one sentence where it does not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from rlm_module.errors import InputError

_METADATA = "metadata"
_ANEW = "compile this program anew and save that."


def check_names(state: Any, names: Iterable[str]) -> None:
    """Compares the names in a saved state with those of a program's predictors and other parameters.

    Raises:
        InputError: If one is missing on either side, or a state is none.
    """
    if not isinstance(state, Mapping):
        raise InputError(f"The saved state must hold parts by name and is a {type(state).__name__}; {_ANEW}")
    kinds = {name: type(part).__name__ for name, part in state.items() if not isinstance(part, Mapping)}
    wanted, held = set(names), {str(name) for name in state} - {_METADATA}
    faults = [
        *([f"it lacks {', '.join(sorted(wanted - held))}"] if wanted - held else []),
        *([f"it holds {', '.join(sorted(held - wanted))} besides"] if held - wanted else []),
        *(f"its {name} is a {kind}" for name, kind in sorted(kinds.items()) if name in wanted),
    ]
    if faults:
        raise InputError(
            f"The saved state does not fit this program: {' and '.join(faults)}; it is another program's, such as "
            f"dspy.RLM's, or another version's: {_ANEW}"
        )


def check_file(path: str | PathLike[str]) -> None:
    """Sees whether a JSON file is one that `save` wrote. Of another kind of file nothing is said.

    Raises:
        InputError: If it is not.
        OSError: If it cannot be read.
    """
    if Path(path).suffix != ".json":
        return
    try:
        found: Any = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}); name a file that `save` wrote.") from error
    metadata = found.get(_METADATA) if isinstance(found, Mapping) else None
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("dependency_versions"), Mapping):
        raise InputError(f"{path} does not say which versions saved it, as `save` does; name a file that it wrote.")
