"""Which side runs a file follows from where it lies, and neither side runs the other's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlm_module.sandbox.runtime.shipped import PACKAGE, snapshot_sources

_SHIPPED = {place.removesuffix(".py").replace("/", "."): path for place, path in snapshot_sources().items()}
_GUEST = PACKAGE / "sandbox" / "guest"


def _own_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("rlm_module"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rlm_module"):
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in _SHIPPED else str(node.module) for name in inner)


@pytest.mark.parametrize("module", _SHIPPED)
def test_the_guest_imports_only_what_is_shipped(module: str) -> None:
    assert set(_own_imports(_SHIPPED[module])) <= _SHIPPED.keys()


def test_nothing_but_the_guest_imports_the_guest() -> None:
    folders = (PACKAGE, PACKAGE / "optimizers", PACKAGE / "signatures")  # a pattern alone does not follow the links
    others = {path for folder in folders for path in folder.rglob("*.py") if not path.is_relative_to(_GUEST)}
    imports = {str(path): [name for name in _own_imports(path) if ".sandbox.guest" in name] for path in others}
    assert {name: found for name, found in imports.items() if found} == {}
