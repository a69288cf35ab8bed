"""The pinned Pyodide: fetched, or taken from a file that the user supplied, checked against its hash, and installed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from rlm_module.errors import SandboxError
from rlm_module.sandbox.runtime.places import Runtime, pyodide_pin
from rlm_module.sandbox.runtime.scratch import scratch_folder
from rlm_module.sandbox.runtime.shipped import RUNNER

_NEEDED = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
    "package.json",
)
_FETCH_SECONDS = 900


def install(runtime: Runtime, say: Callable[[str], None]) -> None:
    """Puts Pyodide into its folder.

    Args:
        runtime: Where that is.
        say: Gets a line before what takes long.

    Raises:
        SandboxError: If it cannot be had, or is not the pinned one.
    """
    version, _ = pyodide_pin()
    supplied = os.environ.get("RLM_MODULE_PYODIDE")
    with scratch_folder(runtime.cache) as scratch:
        if supplied:
            say(f"rlm: installing Pyodide {version} from {supplied}")
            source = _unpack(Path(supplied), scratch)
        else:
            say(f"rlm: fetching Pyodide {version} (13 MB, once)")
            source = _fetch(runtime.deno, version, scratch)
        staged = scratch / "staged"
        staged.mkdir()
        for name in _NEEDED:
            shutil.copyfile(source / name, staged / name)
        manifest = {name: _digest(staged / name) for name in _NEEDED}
        (staged / "manifest.json").write_text(json.dumps(manifest))
        _move_into_place(staged, runtime.folder)


def verify(runtime: Runtime) -> list[str]:
    """Names of installed files that are missing or differ from what was installed."""
    try:
        manifest: dict[str, str] = json.loads((runtime.folder / "manifest.json").read_text())
    except ValueError:
        return ["manifest.json"]
    return [name for name, digest in manifest.items() if _digest(runtime.folder / name) != digest]


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _move_into_place(staged: Path, final: Path) -> None:
    try:
        if final.exists() and not (final / "manifest.json").is_file():
            shutil.rmtree(final)
        staged.rename(final)
    except OSError:
        if not (final / "manifest.json").is_file():  # else another process was faster, and its copy is as good
            raise


def _fetch(deno: Path, version: str, scratch: Path) -> Path:
    """Has Deno fetch the package into a cache of its own, checked against `deno.lock`; the unpacked package."""
    work = scratch / "work"
    shutil.copytree(RUNNER, work)
    command = [deno, "cache", "--quiet", "--frozen", "--lock", work / "deno.lock", work / "fetch.ts"]
    environment = {**os.environ, "DENO_DIR": str(scratch / "deno"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    try:
        done = subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
        )
        reason = done.stderr.strip() or f"exit status {done.returncode}" if done.returncode else ""
    except subprocess.TimeoutExpired:
        reason = f"no end after {_FETCH_SECONDS} s"
    found = next(iter((scratch / "deno" / "npm").glob(f"*/pyodide/{version}")), None)
    if reason or found is None:
        raise SandboxError(
            f"Pyodide {version} could not be fetched ({reason[-400:] or 'nothing arrived'}); check the network, or get "
            f"the file with `npm pack pyodide@{version}` and set RLM_MODULE_PYODIDE to its path."
        )
    return found


def _unpack(archive: Path, scratch: Path) -> Path:
    """Unpacks a package that the user supplied, after checking its hash."""
    version, integrity = pyodide_pin()
    try:
        content = archive.read_bytes()
    except OSError as error:
        raise SandboxError(f"RLM_MODULE_PYODIDE names {archive}, which cannot be read ({error.strerror}).") from None
    if "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode() != integrity:
        raise SandboxError(f"{archive} is not Pyodide {version}; get it with `npm pack pyodide@{version}`.")
    with tarfile.open(archive) as package:
        package.extractall(scratch / "unpacked", filter="data")
    return scratch / "unpacked" / "package"
