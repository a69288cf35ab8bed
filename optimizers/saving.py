"""A compiled program on disk: the file that dspy saves and loads, which also tells how the program came about."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import dspy
import pydantic
from dspy.utils.saving import get_dependency_versions

from rlm_module.errors import InputError
from rlm_module.optimizers.evolution.cases import digest
from rlm_module.prompting import states

_PACKAGES = ("rlm-module", "dspy", "gepa", "litellm", "pydantic")
_KEY = "compilation"
_SECRET_NAME = re.compile(
    r"key(_?id)?$|token$|secret|passw|credential|authori[sz]ation|cookie|^auth$|[-_]auth$", re.IGNORECASE
)
_SECRET = re.compile(
    r"^(Bearer|Basic)\s|\b(sk|pk|rk|xai|gsk|hf|ghp)[-_]\w{6}|\bAIza\w{20}|://[^/@\s]+:[^/@\s]+@", re.IGNORECASE
)


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

    The file is there whole or not at all. Of LMs that predictors have of their own everything is saved but credentials.

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
    state = _without_credentials(program.dump_state())
    text = json.dumps({**state, "metadata": metadata}, ensure_ascii=False, indent=2, default=str)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        unfinished.write_text(f"{text}\n", encoding="utf-8")
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(f"The program cannot be saved in {target} ({error.strerror}); name another place.") from error


def _without_credentials(state: dict[str, Any]) -> dict[str, Any]:
    """A program's state, whose LMs lose whatever is named or looks like a credential, at any depth."""
    return {
        name: _unsecret(value)
        if name == "lm" and isinstance(value, dict) and "model" in value  # a predictor may have that name, too
        else _without_credentials(value)
        if isinstance(value, dict) and name != "demos"
        else value
        for name, value in state.items()
    }


def _unsecret(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: part for name, part in value.items() if not _is_credential(str(name), part)}
        return {name: _unsecret(part) for name, part in kept.items()}
    if isinstance(value, (list, tuple)):
        return [_unsecret(part) for part in value if not _is_credential("", part)]
    return value


def _is_credential(name: str, value: Any) -> bool:
    return bool(_SECRET_NAME.search(name)) or (isinstance(value, str) and bool(_SECRET.search(value)))


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


def load_compiled(
    program: dspy.Module, path: str | os.PathLike[str], *, allow_unsafe_lm_state: bool = False
) -> Provenance | None:
    """Loads what was saved into a program of any kind, once the names in the file are those of its predictors.

    Args:
        program: Made as the saved one was; left as it is where the file does not fit.
        path: A JSON file that `save_compiled` or `program.save` wrote.
        allow_unsafe_lm_state: As `program.load` takes it.

    Returns:
        How the saved program came about; None for a file that dspy alone has saved.

    Raises:
        InputError: If it is no such file, or another program's.
    """
    saved = read_saved(path)
    states.check_names(saved.state, (name for name, _ in program.named_parameters()))
    try:
        program.load(Path(path), allow_unsafe_lm_state=allow_unsafe_lm_state)
    except InputError:
        raise
    except Exception as error:  # whatever the state does to dspy's own predictors
        raise InputError(
            f"{path} does not fit the program ({type(error).__name__}: {error}); compile the program anew and save it."
        ) from error
    return saved.provenance


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
