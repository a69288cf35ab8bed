"""A user's file is imported once, with its neighbours, and takes no other module's name."""

from __future__ import annotations

import importlib
import statistics
import sys
from pathlib import Path

import pytest

from rlm_module.cli.source import load_attribute


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_a_file_with_the_name_of_a_module_does_not_stand_in_for_it(tmp_path: Path) -> None:
    packages, own = tmp_path / "packages", tmp_path / "own"
    for folder in (packages, own):
        folder.mkdir()
    sys.path.append(str(packages))
    (packages / "installed_one.py").write_text("value = 'installed'")
    (own / "its_neighbour.py").write_text("value = 5")
    for name in ("statistics", "colorsys", "installed_one"):
        (own / f"{name}.py").write_text("import its_neighbour\nvalue = [its_neighbour.value]")
        found = load_attribute(own / f"{name}.py", "value")
        assert found == [5]
        assert load_attribute(own / f"{name}.py", "value") is found
        assert Path(importlib.import_module(name).__file__ or "").parent != own
    assert sys.modules["statistics"] is statistics


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "its_program.py").write_text(f"value = ['{folder}']")
    one, two = (load_attribute(tmp_path / folder / "its_program.py", "value") for folder in ("one", "two"))
    assert (one, two) == (["one"], ["two"])
    assert load_attribute(tmp_path / "two" / "its_program.py", "value") is two
