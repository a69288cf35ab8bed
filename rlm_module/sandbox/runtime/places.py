"""Where everything that a sandbox process needs lies, whether or not it is there yet."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from rlm_module.sandbox.runtime.executable import deno_version, find_deno
from rlm_module.sandbox.runtime.sealed import is_sealed
from rlm_module.sandbox.runtime.shipped import RUNNER, snapshot_key


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where everything that a sandbox process needs lies.

    Args:
        deno: The Deno executable.
        cache: The cache folder.
        folder: The installed Pyodide.
        snapshot: The memory snapshot that sessions start from.
    """

    deno: Path
    cache: Path
    folder: Path
    snapshot: Path

    @property
    def deno_folder(self) -> Path:
        """Deno's own cache, filled when the snapshot is built and closed from then on."""
        return self.snapshot.with_suffix(".deno")

    @property
    def snapshot_digest(self) -> Path:
        """What the snapshot's content must hash to."""
        return self.snapshot.with_suffix(".sha256")

    @property
    def installed(self) -> bool:
        return (self.folder / "manifest.json").is_file()

    @property
    def ready(self) -> bool:
        return self.installed and self.has_snapshot

    @property
    def has_snapshot(self) -> bool:
        return self.snapshot.is_file() and is_sealed(self.deno_folder)


def locate_runtime() -> Runtime:
    """The runtime's places, whether or not anything is there yet.

    Raises:
        SandboxError: If Deno is missing or unsupported.
    """
    cache_dir, deno = cache_folder(), find_deno()
    version, integrity = pyodide_pin()
    return Runtime(
        deno=deno,
        cache=cache_dir,
        folder=cache_dir / f"pyodide-{version}",
        snapshot=cache_dir / f"snapshot-{snapshot_key(integrity, deno_version(deno))}.bin",
    )


def cache_folder() -> Path:
    """Where runtime and snapshot are kept: `RLM_MODULE_CACHE`, else the user's cache folder (XDG)."""
    chosen = os.environ.get("RLM_MODULE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "rlm-module"


def pyodide_pin() -> tuple[str, str]:
    """Version and integrity hash (`sha512-…`) of the pinned Pyodide."""
    packages = json.loads((RUNNER / "deno.lock").read_text())["npm"]
    name, entry = next((name, entry) for name, entry in packages.items() if name.startswith("pyodide@"))
    return name.removeprefix("pyodide@"), entry["integrity"]
