"""What of this package a sandbox process runs: the runner, and the Python that the snapshot holds."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2]
RUNNER = PACKAGE / "sandbox" / "runner"
_GUEST = PACKAGE / "sandbox" / "guest"
_BOTH_SIDES = (
    "errors",
    "sandbox/agent_kinds",
    "sandbox/codec",
    "sandbox/record",
    "sandbox/tagged",
    "sandbox/type_limits",
)


@cache
def snapshot_sources() -> dict[str, Path]:
    """The Python files that the sandbox imports, by their place beside the standard library."""
    paths = [*(PACKAGE / f"{name}.py" for name in _BOTH_SIDES), *sorted(_GUEST.rglob("*.py"))]
    return {path.relative_to(PACKAGE.parent).as_posix(): path for path in paths}


@cache
def snapshot_key(integrity: str, deno: tuple[int, ...]) -> str:
    """Names the snapshot by all that shapes its content, and that of Deno's cache beside it."""
    digest = hashlib.sha256(f"{integrity} {deno} {' '.join(snapshot_sources())}".encode())
    sealing = PACKAGE / "sandbox" / "runtime" / "sealed.py"
    for path in (*snapshot_sources().values(), *sorted(RUNNER.glob("*.ts")), sealing):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]
