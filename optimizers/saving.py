"""A compiled program on disk: the file that dspy saves and loads, which also tells how the program came about."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import dspy
import pydantic
from dspy.utils.saving import get_dependency_versions

from rlm_module.errors import InputError
from rlm_module.optimizers.evolution.cases import digest

_PACKAGES = ("rlm-module", "dspy", "gepa", "litellm", "pydantic")
_KEY = "compilation"


class Measured(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What a program reached on some examples.

    Args:
        examples: How many.
        score: Mean score.
        cost_usd: Of all runs together, in US dollars; None if the price of a call is not known.
    """

    examples: int
    score: float
    cost_usd: float | None


class Provenance(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How a compiled program came about.

    Args:
        optimizer: What compiled it.
        versions: Versions of Python and the packages that matter.
        models: Names of the LMs by what they did.
        data_hash: Hash over the examples, in hexadecimal.
        runs: Program runs that compiling took.
        cost_usd: What compiling cost, in US dollars; None if not known.
        validation: On the examples that the program was chosen by.
        held_out: On examples that compiling never saw; None where there were none.
    """

    optimizer: str
    versions: dict[str, str]
    models: dict[str, str]
    data_hash: str
    runs: int
    cost_usd: float | None
    validation: Measured | None
    held_out: Measured | None = None


class SavedProgram(pydantic.BaseModel, frozen=True):
    """What a saved file holds.

    Args:
        state: The state of each parameter by its name in the program.
        provenance: How it came about; None for a file that dspy alone has saved.
    """

    state: dict[str, dict[str, Any]]
    provenance: Provenance | None


def save_compiled(program: dspy.Module, path: str | os.PathLike[str], provenance: Provenance) -> None:
    """Saves what a program has learned as JSON; `program.load(path)` takes it over.

    The file is there whole or not at all.

    Args:
        program: A compiled program.
        path: Ends in `.json`.
        provenance: Saved with it.

    Raises:
        InputError: If the file cannot be written.
    """
    target = Path(path)
    if target.suffix != ".json":
        raise InputError(f"A program is saved as JSON; give {target} a name that ends in .json.")
    metadata = {"dependency_versions": get_dependency_versions(), _KEY: provenance.model_dump(mode="json")}
    text = json.dumps({**program.dump_state(), "metadata": metadata}, ensure_ascii=False, indent=2, default=str)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        unfinished.write_text(f"{text}\n", encoding="utf-8")
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(f"The program cannot be saved in {target} ({error.strerror}); name another place.") from error


def read_saved(path: str | os.PathLike[str]) -> SavedProgram:
    """Reads what was saved, without a program to load it into.

    Args:
        path: A JSON file that `save_compiled` or `program.save` wrote.

    Raises:
        InputError: If it is no such file.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        metadata = found.pop("metadata")
        provenance = metadata.get(_KEY)
        state = {"self": found} if "demos" in found else found  # a single predictor is saved without a name
        return SavedProgram.model_validate({"state": state, "provenance": provenance})
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a saved program.") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{path} is no program as `save` writes it, or another version's; save it anew.") from error


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a compiled program depends on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def data_hash(examples: Iterable[dspy.Example]) -> str:
    """A hash over examples in their order, by all that they hold, in hexadecimal."""
    return digest([dict(example.items()) for example in examples])
