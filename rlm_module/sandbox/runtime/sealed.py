"""How Deno is started so that nothing in it has any rights, and how its own cache is closed to what runs in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rlm_module.sandbox.runtime.shipped import RUNNER

if TYPE_CHECKING:
    from rlm_module.sandbox.runtime.places import Runtime

_PAGE = 65_536  # of WebAssembly memory
_STORAGE = "location_data"


def sealed_deno(runtime: Runtime, readable: Iterable[Path]) -> list[str]:
    """The command that starts Deno with no rights but to read some places, which its script gives up once loaded."""
    denied = ("net", "env", "sys", "run", "ffi", "write", "import")
    return [
        str(runtime.deno),
        "run",
        "--quiet",
        "--no-prompt",
        "--no-config",
        "--no-lock",
        "--no-remote",
        "--no-npm",
        "--cached-only",
        "--node-modules-dir=none",
        f"--allow-read={','.join(map(str, readable))}",
        *(f"--deny-{right}" for right in denied),
    ]


def session_command(runtime: Runtime, memory_mb: int) -> list[str]:
    """The command that starts a sandbox process, whose Python may take that many MiB."""
    pages = memory_mb * (1 << 20) // _PAGE
    return [
        *sealed_deno(runtime, (runtime.folder, runtime.snapshot, RUNNER)),
        f"--v8-flags=--expose-gc,--wasm-max-mem-pages={pages}",
        str(RUNNER / "main.ts"),
        str(runtime.folder),
        str(runtime.snapshot),
    ]


def deno_environment(runtime: Runtime) -> dict[str, str]:
    """All that a sandbox process sees of the environment. Returning freed memory at once keeps an idle one small."""
    return {
        "DENO_DIR": str(runtime.deno_folder),
        "DENO_NO_UPDATE_CHECK": "1",
        "DENO_NO_PACKAGE_JSON": "1",
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "NO_COLOR": "1",
    }


def seal_deno_folder(folder: Path) -> None:
    """Leaves a filled Deno cache readable and of fixed size.

    Deno asks for no permission to write there: `localStorage` and `caches` would outlive their session and reach the
    next one, and every `data:` module that code imports would add to the databases. A file in a folder's place, and
    a trigger that drops what is inserted, hold whoever the process runs as.
    """
    (folder / "gen").mkdir(exist_ok=True)
    for scheme in ("data", "blob"):
        (folder / "gen" / scheme).touch()
    for path in folder.glob("*_cache_v*"):
        if path.name.endswith(("-wal", "-shm")):
            continue
        with closing(sqlite3.connect(path)) as database, database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%cache'")
            for (table,) in tables.fetchall():
                database.execute(
                    f'CREATE TRIGGER IF NOT EXISTS "closed_{table}" BEFORE INSERT ON "{table}" '
                    "BEGIN SELECT RAISE(IGNORE); END"
                )
    (folder / _STORAGE).touch()


def is_sealed(folder: Path) -> bool:
    """Whether `seal_deno_folder` has been here; Deno would have made a folder of that name."""
    return (folder / _STORAGE).is_file()
