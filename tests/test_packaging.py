"""What an installer gets: one top-level name, all of its files, and the same from the source archive."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""
_SOURCES = ("rlm_module", "optimizers", "signatures", "pyproject.toml", "README.md", "LICENSE")


def _build(hook: str, tree: Path, into: Path) -> Path:
    """Calls the build backend as an installer does, without the registry that its isolation would need."""
    command = [sys.executable, "-c", _BUILD, hook, str(into)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return into / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive unpacked, built from a copy so that the checkout stays clean."""
    tree, into = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("sdist")
    for name in _SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    with tarfile.open(_build("build_sdist", tree, into)) as archive:
        archive.extractall(into, filter="data")
    return next(path for path in into.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from the source archive: what that lacks the wheel lacks too."""
    return zipfile.ZipFile(_build("build_wheel", sdist, tmp_path_factory.mktemp("wheel")))


def _installed(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_the_wheel_adds_one_top_level_name(wheel: zipfile.ZipFile) -> None:
    assert {name.split("/")[0] for name in _installed(wheel)} == {"rlm_module"}


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    """Walking through the symlink, so that a folder missing from the explicit package list is noticed."""
    folders = ("rlm_module", "rlm_module/optimizers", "rlm_module/signatures")
    tracked = {path for folder in folders for path in (ROOT / folder).rglob("*")}
    expected = {
        path.relative_to(ROOT).as_posix() for path in tracked if path.is_file() and "__pycache__" not in path.parts
    }
    assert _installed(wheel) == expected


def test_the_wheel_holds_the_runner_and_the_type_marker(wheel: zipfile.ZipFile) -> None:
    runner = {Path(name).suffix for name in _installed(wheel) if name.startswith("rlm_module/sandbox/runner/")}
    assert {".ts", ".json", ".lock"} <= runner
    assert "rlm_module/py.typed" in _installed(wheel)


def test_the_wheel_installs_the_command_and_no_compiled_part(wheel: zipfile.ZipFile) -> None:
    scripts = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "rlm = rlm_module.cli.main:main" in wheel.read(scripts).decode()
    assert str(wheel.filename).endswith("-py3-none-any.whl")


@pytest.mark.parametrize("name", ["optimizers", "signatures"])
def test_a_folder_at_the_root_is_a_relative_link_in_the_package(name: str) -> None:
    link = ROOT / "rlm_module" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..", name)
