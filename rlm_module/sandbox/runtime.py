"""Deno, the pinned Pyodide and its memory snapshot: found, fetched once, verified, then used offline.

Deno itself fetches Pyodide as an npm package and checks it against the integrity hash in `runner/deno.lock`. What is
installed appears under its final name only when whole, so a fetch that fails half-way, or two processes that install
at once, leave nothing broken behind.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from rlm_module.errors import SandboxError
from rlm_module.sandbox.sealed import (
    RUNNER,
    deno_environment,
    is_sealed,
    seal_deno_folder,
    sealed_deno,
    session_command,
)

MIN_DENO, BEFORE_DENO = (2, 9, 0), (3, 0, 0)
Progress = Callable[[str], None]

_PACKAGE = RUNNER.parent.parent
_GUESTS = (
    "clip codec record shapes classes described typed effects purity scope evaluate foresee survey ahead host_function "
    "agent_kinds declared stand_in prelude"
)
_SHARED = {  # what the sandbox imports of this package, by module name
    "rlm_module.errors": _PACKAGE / "errors.py",
    **{f"rlm_module.sandbox.{name}": _PACKAGE / "sandbox" / f"{name}.py" for name in _GUESTS.split()},
}
_NEEDED = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
    "package.json",
)
_FETCH_SECONDS, _SNAPSHOT_SECONDS = 900, 120
_KEPT_SNAPSHOTS = 3


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


def find_deno() -> Path:
    """The Deno executable: the `deno` wheel's, else the one on PATH.

    Raises:
        SandboxError: If there is none, or if its version is not supported.
    """
    path = _wheel_deno() or shutil.which("deno")
    if path is None:
        raise SandboxError("Deno was not found; install it with `pip install deno`.")
    version = deno_version(Path(path))
    if not MIN_DENO <= version < BEFORE_DENO:
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
        snapshot=cache_dir / f"snapshot-{_snapshot_key(integrity, deno_version(deno))}.bin",
    )


def ensure_runtime(progress: Progress | None = None) -> Runtime:
    """The runtime, fetched and snapshotted where it is not there yet.

    Args:
        progress: Gets a line at each slow step; standard error where it is None.

    Raises:
        SandboxError: If it cannot be had; the message tells how to supply it by hand.
    """
    runtime = locate_runtime()
    say = progress or _print_progress
    if not runtime.installed:
        _install(runtime, say)
    if not runtime.has_snapshot:
        say("rlm: building the sandbox snapshot (once)")
        _build_snapshot(runtime)
    return runtime


def verify(runtime: Runtime) -> list[str]:
    """Names of installed files that are missing or differ from what was installed."""
    try:
        manifest: dict[str, str] = json.loads((runtime.folder / "manifest.json").read_text())
    except ValueError:
        return ["manifest.json"]
    return [name for name, digest in manifest.items() if _digest(runtime.folder / name) != digest]


def snapshot_is_whole(runtime: Runtime) -> bool:
    """Whether the snapshot is there and as it was built."""
    try:
        return _digest(runtime.snapshot) == runtime.snapshot_digest.read_text().strip()
    except OSError:
        return False


def discard_damaged_snapshot(runtime: Runtime) -> bool:
    """Removes the snapshot if it is damaged, so that it is built again, and says whether it was."""
    if snapshot_is_whole(runtime):
        return False
    with suppress(OSError):
        runtime.snapshot.unlink(missing_ok=True)
    return not runtime.snapshot.exists()


def _print_progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@cache
def _snapshot_key(integrity: str, deno: tuple[int, ...]) -> str:
    """Names the snapshot by all that shapes its content, and that of Deno's cache beside it."""
    digest = hashlib.sha256(f"{integrity} {deno}".encode())
    for path in (*_SHARED.values(), *sorted(RUNNER.glob("*.ts")), RUNNER.parent / "sealed.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


@contextmanager
def _scratch(cache_dir: Path) -> Generator[Path]:
    """A folder beside the final places, so that moving out of it is atomic; gone afterwards."""
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _sweep(cache_dir)
        scratch = Path(tempfile.mkdtemp(prefix=f"partial-{os.getpid()}-", dir=cache_dir))
    except OSError as error:
        raise SandboxError(
            f"The cache folder {cache_dir} cannot be written ({error.strerror}); "
            "set RLM_MODULE_CACHE to a folder that can."
        ) from None
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)  # the work may be on a thread that exit cuts short
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sweep(cache_dir: Path) -> None:
    """Removes what processes that were killed had begun."""
    for left in cache_dir.glob("partial-*"):
        owner = left.name.split("-")[1]
        if owner.isdigit() and not _is_running(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _install(runtime: Runtime, say: Progress) -> None:
    version, _ = pyodide_pin()
    supplied = os.environ.get("RLM_MODULE_PYODIDE")
    with _scratch(runtime.cache) as scratch:
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


def _move_into_place(staged: Path, final: Path) -> None:
    try:
        if final.exists() and not (final / "manifest.json").is_file():
            shutil.rmtree(final)
        staged.rename(final)
    except OSError:
        if not (final / "manifest.json").is_file():  # else another process was faster, and its copy is as good
            raise


def _fetch(deno: Path, version: str, scratch: Path) -> Path:
    """Has Deno fetch the package into a cache of its own and returns the unpacked package."""
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


def _build_snapshot(runtime: Runtime) -> None:
    modules = [part for name, path in _SHARED.items() for part in (name, str(path))]
    with _scratch(runtime.cache) as scratch:
        staged = replace(runtime, snapshot=scratch / "snapshot.bin")
        readable = (runtime.folder, RUNNER, *_SHARED.values())
        command = [*sealed_deno(staged, readable), str(RUNNER / "snapshot.ts"), str(runtime.folder), *modules]
        try:
            built = _run_deno(command, staged)
            built.check_returncode()
            staged.snapshot.write_bytes(built.stdout)
            staged.snapshot_digest.write_text(hashlib.sha256(built.stdout).hexdigest())
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
        for old in _outdated_snapshots(runtime.cache):
            _move(old, scratch / old.name)
            _move(old.with_suffix(".deno"), scratch / f"{old.stem}.deno")
            old.with_suffix(".sha256").unlink(missing_ok=True)


def _outdated_snapshots(cache_dir: Path) -> list[Path]:
    """All but the newest few: versions of this package that share a cache are not to take turns at building."""
    found = [(path.stat().st_mtime, path) for path in cache_dir.glob("snapshot-*.bin") if path.is_file()]
    return [path for _, path in sorted(found)[:-_KEPT_SNAPSHOTS]]


def _move(path: Path, to: Path) -> None:
    with suppress(OSError):  # there is nothing, or another process was faster
        path.rename(to)


def _run_deno(command: list[str], runtime: Runtime) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        env=deno_environment(runtime),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_SNAPSHOT_SECONDS,
        check=False,
    )
