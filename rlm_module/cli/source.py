"""What a user's own Python file defines, named on the command line as `file.py:name`."""

from __future__ import annotations

import hashlib
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
    path = file.resolve()
    private = f"_rlm_{hashlib.sha256(bytes(path)).hexdigest()[:12]}_{file.stem}"
    for known in (sys.modules.get(file.stem), sys.modules.get(private)):
        if known is not None and Path(getattr(known, "__file__", None) or "").resolve() == path:
            return known
    is_taken = _is_taken(file.stem, path)
    spec = importlib.util.spec_from_file_location(private if is_taken else file.stem, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} is not a Python file; name one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    # As for `python file.py`, so that it can import its neighbours; but whoever imports the other module gets that.
    sys.path.insert(len(sys.path) if is_taken else 0, str(path.parent))
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's own file raises
        del sys.modules[spec.name]
        raise InputError(f"{file} cannot be imported ({type(error).__name__}: {error}); mend it first") from error
    return module


def _is_taken(name: str, path: Path) -> bool:
    """Whether a name is that of a module, loaded or not, which is another file."""
    if name in sys.modules or name in sys.stdlib_module_names:
        return True
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return True
    return spec is not None and Path(spec.origin or "").resolve() != path
