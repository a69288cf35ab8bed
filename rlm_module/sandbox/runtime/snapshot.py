"""The memory snapshot of a booted Pyodide that holds the sandbox's own Python: built once, and checked."""

from __future__ import annotations

import hashlib
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rlm_module.errors import SandboxError
from rlm_module.sandbox.runtime.places import Runtime
from rlm_module.sandbox.runtime.scratch import scratch_folder
from rlm_module.sandbox.runtime.sealed import (
    deno_environment,
    is_sealed,
    seal_deno_folder,
    sealed_deno,
    session_command,
)
from rlm_module.sandbox.runtime.shipped import RUNNER, snapshot_sources

_BUILD_SECONDS = 120
_KEPT = 3


def build_snapshot(runtime: Runtime) -> None:
    """Builds the snapshot, and beside it Deno's cache, sealed.

    Raises:
        SandboxError: If Pyodide does not start, or the cache folder cannot be written.
    """
    with scratch_folder(runtime.cache) as scratch:
        staged = replace(runtime, snapshot=scratch / "snapshot.bin")
        try:
            _make_image(staged)
            _run_deno(session_command(staged, memory_mb=2048), staged)  # one start fills Deno's cache
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            reason = (error.stderr or b"").decode(errors="replace").strip()[-400:] or error
            raise SandboxError(
                f"The sandbox snapshot could not be built ({reason}); delete {runtime.folder} and run `rlm doctor`."
            ) from None
        seal_deno_folder(staged.deno_folder)
        if not is_sealed(runtime.deno_folder):
            _move(runtime.deno_folder, scratch / "unsealed")
        _move(staged.deno_folder, runtime.deno_folder)
        staged.snapshot_digest.replace(runtime.snapshot_digest)
        staged.snapshot.replace(runtime.snapshot)
        for old in _outdated(runtime.cache):
            _move(old, scratch / old.name)
            _move(old.with_suffix(".deno"), scratch / f"{old.stem}.deno")
            old.with_suffix(".sha256").unlink(missing_ok=True)


def discard_damaged_snapshot(runtime: Runtime) -> bool:
    """Removes the snapshot if it is damaged, so that it is built again, and says whether it was."""
    if _is_whole(runtime):
        return False
    with suppress(OSError):
        runtime.snapshot.unlink(missing_ok=True)
    return not runtime.snapshot.exists()


def _is_whole(runtime: Runtime) -> bool:
    try:
        return hashlib.sha256(runtime.snapshot.read_bytes()).hexdigest() == runtime.snapshot_digest.read_text().strip()
    except OSError:
        return False


def _make_image(runtime: Runtime) -> None:
    sources = snapshot_sources()
    files = [part for place, path in sources.items() for part in (place, str(path))]
    command = sealed_deno(runtime, (runtime.folder, RUNNER, *sources.values()))
    built = _run_deno([*command, str(RUNNER / "snapshot.ts"), str(runtime.folder), *files], runtime)
    built.check_returncode()
    runtime.snapshot.write_bytes(built.stdout)
    runtime.snapshot_digest.write_text(hashlib.sha256(built.stdout).hexdigest())


def _run_deno(command: list[str], runtime: Runtime) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        env=deno_environment(runtime),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )


def _outdated(cache_dir: Path) -> list[Path]:
    """All but the newest few: versions of this package that share a cache are not to take turns at building."""
    found = [(path.stat().st_mtime, path) for path in cache_dir.glob("snapshot-*.bin") if path.is_file()]
    return [path for _, path in sorted(found)[:-_KEPT]]


def _move(path: Path, to: Path) -> None:
    with suppress(OSError):  # there is nothing, or another process was faster
        path.rename(to)
