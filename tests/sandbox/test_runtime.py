"""Deno, Pyodide and the snapshot: had, refused with a mend, and never left half-done."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlm_module import Sandbox, SandboxError
from rlm_module.sandbox.runtime import (
    cache_folder,
    ensure_runtime,
    executable,
    find_deno,
    locate_runtime,
    pyodide,
    pyodide_pin,
    verify,
)

FakeDeno = Callable[[str], Path]


@pytest.fixture
def fake_deno(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDeno:
    """Makes a shell script the only Deno there is."""

    def make(script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        deno = folder / "deno"
        deno.write_text(f"#!/bin/sh\n{script}\n")
        deno.chmod(0o755)
        monkeypatch.setattr(executable, "_wheel_deno", lambda: None)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return deno

    return make


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, with Pyodide in it but no snapshot."""
    installed = ensure_runtime().folder
    cache = tmp_path / "cache"
    shutil.copytree(installed, cache / installed.name)
    monkeypatch.setenv("RLM_MODULE_CACHE", str(cache))
    return cache


def quiet(_: str) -> None: ...


def test_a_missing_deno_is_told_with_the_mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(executable, "_wheel_deno", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="pip install deno"):
        find_deno()


@pytest.mark.parametrize("version", ["2.1.0", "1.46.3", "3.0.0"])
def test_a_deno_of_another_version_is_refused(fake_deno: FakeDeno, version: str) -> None:
    fake_deno(f"echo 'deno {version} (stable)'")
    with pytest.raises(SandboxError, match=rf"Deno {version} is not supported; .*pip install 'deno>=2\.9,<3'"):
        find_deno()


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense"])
def test_a_deno_that_names_no_version_is_refused(fake_deno: FakeDeno, script: str) -> None:
    fake_deno(script)
    with pytest.raises(SandboxError, match="reinstall"):
        find_deno()


def test_a_fetch_that_fails_half_way_leaves_nothing_behind(
    fake_deno: FakeDeno, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, _ = pyodide_pin()
    fake_deno(
        "case $1 in --version) echo 'deno 2.9.8';; *)\n"
        f"mkdir -p $DENO_DIR/npm/somewhere/pyodide/{version}\n"
        f"echo half > $DENO_DIR/npm/somewhere/pyodide/{version}/pyodide.asm.wasm\n"
        "echo 'error: connection reset' >&2; exit 1;; esac"
    )
    monkeypatch.setenv("RLM_MODULE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SandboxError, match=rf"connection reset.*npm pack pyodide@{version}.*RLM_MODULE_PYODIDE"):
        ensure_runtime(quiet)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RLM_MODULE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SandboxError, match=r"cannot be written .*set RLM_MODULE_CACHE"):
        ensure_runtime(quiet)


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("RLM_MODULE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "rlm-module"
    monkeypatch.setenv("RLM_MODULE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_two_installs_at_once_both_succeed(
    fake_deno: FakeDeno, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = ensure_runtime().folder
    version, _ = pyodide_pin()
    fake_deno(
        "case $1 in --version) echo 'deno 2.9.8';; *)\n"
        "mkdir -p $DENO_DIR/npm/somewhere/pyodide\n"
        f"cp -r {installed} $DENO_DIR/npm/somewhere/pyodide/{version};; esac"
    )
    monkeypatch.setenv("RLM_MODULE_CACHE", str(tmp_path / "cache"))
    place = locate_runtime()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: pyodide.install(place, quiet), range(2)))
    assert verify(place) == []
    assert [path.name for path in place.cache.iterdir()] == [place.folder.name]


def test_two_processes_that_build_the_snapshot_at_once_both_run(own_cache: Path) -> None:
    program = "from rlm_module import Sandbox\nwith Sandbox() as s: print(s.execute('6 * 7'))"
    hosts = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    assert [host.communicate(timeout=120)[0] for host in hosts] == ["42\n", "42\n"]
    assert not list(own_cache.glob("partial-*"))
    assert locate_runtime().ready


def test_a_damaged_snapshot_is_built_again(own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = ensure_runtime(quiet).snapshot
    whole = snapshot.stat().st_size
    os.truncate(snapshot, whole // 3)
    with Sandbox() as sandbox:
        assert sandbox.execute("6 * 7") == "42"
    assert snapshot.stat().st_size == whole
    assert "building the sandbox snapshot" in capsys.readouterr().err


def test_once_installed_nothing_needs_a_network(own_cache: Path) -> None:
    ensure_runtime(quiet)
    program = "from rlm_module import Sandbox\nwith Sandbox() as s: print(s.execute('6 * 7'))"
    dead = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **dead}, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_files_that_changed_since_they_were_installed_are_found(own_cache: Path) -> None:
    place = locate_runtime()
    assert verify(place) == []
    (place.folder / "pyodide.mjs").write_text("changed")
    (place.folder / "package.json").unlink()
    assert sorted(verify(place)) == ["package.json", "pyodide.mjs"]


class TestSuppliedByHand:
    @pytest.fixture
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The installed Pyodide as a package such as `npm pack` makes, in an otherwise empty place."""
        archive = tmp_path / "pyodide.tgz"
        with tarfile.open(archive, "w:gz", compresslevel=1) as made:
            made.add(ensure_runtime().folder, "package")
        monkeypatch.setenv("RLM_MODULE_PYODIDE", str(archive))
        monkeypatch.setenv("RLM_MODULE_CACHE", str(tmp_path / "cache"))
        return archive

    def test_the_right_package_is_installed(self, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        version, _ = pyodide_pin()
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
        monkeypatch.setattr(pyodide, "pyodide_pin", lambda: (version, integrity))
        said: list[str] = []
        assert verify(ensure_runtime(said.append)) == []
        assert str(package) in said[0]

    def test_another_package_is_refused_and_nothing_is_left(self, package: Path, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match=r"is not Pyodide .*npm pack"):
            ensure_runtime(quiet)
        assert list((tmp_path / "cache").iterdir()) == []

    def test_one_that_is_not_there_is_told(self, package: Path) -> None:
        package.unlink()
        with pytest.raises(SandboxError, match=r"RLM_MODULE_PYODIDE names .* cannot be read"):
            ensure_runtime(quiet)
