"""What a user's own Python file defines, named on the command line as `file.py:name`."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from rlm_module.errors import InputError

_IN_FILE = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)")


def split_source(text: str) -> tuple[Path, str] | None:
    """The file and the name of `file.py:name`; None where the text is not of that form."""
    match = _IN_FILE.fullmatch(text)
    return (Path(match["file"]), match["name"]) if match else None


def load_attribute(file: Path, name: str) -> Any:
    """Imports a file and returns what it defines under a name. A file is imported once.

    Raises:
        InputError: If there is no such file or name, or the file cannot be imported.
    """
    module = _imported(file)
    if not hasattr(module, name):
        raise InputError(f"{file} defines no {name}; check the name after the colon")
    return getattr(module, name)


def _imported(file: Path) -> Any:
    if not file.is_file():
        raise InputError(f"{file}: there is no such file; check the part before the colon")
    known = sys.modules.get(file.stem)
    if known is not None and Path(getattr(known, "__file__", None) or "").resolve() == file.resolve():
        return known
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} is not a Python file; name one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.resolve().parent))  # as for `python file.py`, so that it can import its neighbours
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's own file raises
        del sys.modules[spec.name]
        raise InputError(f"{file} cannot be imported ({type(error).__name__}: {error}); mend it first") from error
    return module
