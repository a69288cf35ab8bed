"""The folder of a compile: what it is a compile of, what was paid for, and what was found."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlm_module.errors import InputError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

_MANIFEST, _RESULT = "manifest.json", "compilation.json"
EVALUATIONS, REFLECTIONS = "evaluations.jsonl", "reflections.jsonl"


@contextmanager
def opened(path: Path, manifest: Mapping[str, Any]) -> Generator[Path]:
    """Holds the folder for one compile at a time. Nothing in it is code, and nothing in it is ever run.

    Args:
        path: It; made where it does not exist.
        manifest: What the compile is of, by part, as JSON values.

    Raises:
        InputError: If it is another compile's, or one is at work in it, or it cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InputError(f"run_dir {str(path)!r} cannot be written to ({error.strerror}); give another one.") from None
    try:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(
                    f"Another compile is at work in {str(path)!r}; wait for it, or give another run_dir."
                ) from None
        _check(path, manifest)
        yield path
    finally:
        os.close(handle)


def save(path: Path, result: Mapping[str, Any]) -> None:
    """Writes what was found so far."""
    _write(path / _RESULT, result)


def _check(path: Path, manifest: Mapping[str, Any]) -> None:
    known = json.loads(json.dumps(manifest))
    file = path / _MANIFEST
    if not file.exists():
        if (path / EVALUATIONS).exists() or (path / REFLECTIONS).exists():
            raise InputError(f"{str(path)!r} holds a compile without its manifest; give an empty folder as run_dir.")
        _write(file, known)
        return
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        differing = [name for name in {**known, **found} if found.get(name) != known.get(name)]
    except (ValueError, TypeError, AttributeError):
        raise InputError(f"The manifest in {str(path)!r} cannot be read; give an empty folder as run_dir.") from None
    if differing:
        raise InputError(
            f"run_dir {str(path)!r} holds a compile with other {', '.join(sorted(differing))}: go on with the same, or "
            "give an empty folder."
        )


def _write(file: Path, value: Any) -> None:
    part = file.with_name(f"{file.name}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        json.dump(value, stream, ensure_ascii=False, indent=1)
    os.replace(part, file)
