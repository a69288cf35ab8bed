"""The Deno executable: found, and of a version that is known to serve."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from rlm_module.errors import SandboxError

_FROM, _BEFORE = (2, 9, 0), (3, 0, 0)


def find_deno() -> Path:
    """The Deno executable: the `deno` wheel's, else the one on PATH.

    Raises:
        SandboxError: If there is none, or if its version is not supported.
    """
    path = _wheel_deno() or shutil.which("deno")
    if path is None:
        raise SandboxError("Deno was not found; install it with `pip install deno`.")
    version = deno_version(Path(path))
    if not _FROM <= version < _BEFORE:
        shown = ".".join(map(str, version))
        raise SandboxError(f"Deno {shown} is not supported; install a newer one with `pip install 'deno>=2.9,<3'`.")
    return Path(path)


def _wheel_deno() -> str | None:
    try:
        import deno

        return str(deno.find_deno_bin())
    except (ImportError, FileNotFoundError):
        return None


@cache
def deno_version(deno: Path) -> tuple[int, ...]:
    """The version of a Deno executable.

    Raises:
        SandboxError: If it does not run or names no version.
    """
    try:
        shown = subprocess.run([deno, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"{deno} does not run ({error}); reinstall the `deno` package with pip.") from None
    found = re.match(r"deno (\d+)\.(\d+)\.(\d+)", shown)
    if found is None:
        raise SandboxError(f"{deno} names no version; reinstall the `deno` package with pip.")
    return tuple(int(part) for part in found.groups())
