"""Who may import whom, read from the source: the layers of the package, the lowest first."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rlm_module"
_FOUNDATION = ("errors", "events", "budget", "lazy", "sandbox")
_PUBLIC = {
    "rlm_module",
    # Drives any generator, and knows nothing of runs.
    "rlm_module.driver",
    "rlm_module.prompting.demos",
    "rlm_module.prompting.shown",
    "rlm_module.prompting.states",
    "rlm_module.errors",
    "rlm_module.events",
    "rlm_module.journal",
    "rlm_module.lazy",
    "rlm_module.memory",
    "rlm_module.memory.evaluation",
    "rlm_module.optimizers",
    "rlm_module.sandbox.runtime",
    "rlm_module.signatures",
    # How folders and files are read, which the input types share with the command.
    "rlm_module.signatures.folders",
    "rlm_module.signatures.textfiles",
}
# The runtime asks the deno wheel for its executable; the prelude imports what exists in the sandbox only.
_GUESTS = {
    "rlm_module.sandbox.runtime.executable": {"deno"},
    "rlm_module.sandbox.guest.prelude": {"js", "pyodide", "_pyodide"},
}


def _modules() -> Iterator[tuple[str, Path]]:
    for folder in (PACKAGE, PACKAGE / "optimizers", PACKAGE / "signatures"):  # a pattern alone does not follow the link
        for path in sorted(folder.rglob("*.py")):
            yield ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"), path


MODULES = dict(_modules())


def _imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file; `from package import module` counts as the module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively, in line {node.lineno}"
            name = node.module or ""
            inner = {f"{name}.{alias.name}" for alias in node.names if f"{name}.{alias.name}" in MODULES}
            found |= inner or {name}
    return found


def _layer(module: str) -> str:
    """The part of the package a module belongs to: the name below `rlm_module`."""
    return module.split(".")[1] if "." in module else ""


def _in(*parts: str) -> list[str]:
    return [module for module in MODULES if _layer(module) in parts]


# Parts that are built on the public API, and know nothing of each other.
_ABOVE = ("memory", "optimizers")

# The core is whatever has no rules of its own, so that a new module is held to the core's from its first day.
_CORE = sorted({_layer(module) for module in MODULES} - {*_FOUNDATION, "signatures", *_ABOVE, "cli", ""})


def _own(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "rlm_module"}


@pytest.mark.parametrize("module", _in(*_FOUNDATION))
def test_the_foundation_knows_only_python_pydantic_and_itself(module: str) -> None:
    names = _imports(MODULES[module])
    outside = {name.split(".")[0] for name in names - _own(names)} - sys.stdlib_module_names
    assert outside <= {"pydantic", "pydantic_core", *_GUESTS.get(module, ())}
    assert {_layer(name) for name in _own(names)} <= set(_FOUNDATION)


@pytest.mark.parametrize("module", _in("signatures"))
def test_signatures_know_dspy_and_the_foundation(module: str) -> None:
    assert {_layer(name) for name in _own(_imports(MODULES[module]))} <= {*_FOUNDATION, "signatures"}


@pytest.mark.parametrize("module", _in(*_CORE))
def test_the_core_knows_what_is_below_it(module: str) -> None:
    assert {_layer(name) for name in _own(_imports(MODULES[module]))} <= {*_FOUNDATION, "signatures", *_CORE}


@pytest.mark.parametrize("module", _in("cli", *_ABOVE))
def test_what_is_built_on_the_package_uses_its_public_api(module: str) -> None:
    inner = {name for name in _own(_imports(MODULES[module])) if _layer(name) != _layer(module)}
    assert inner <= _PUBLIC


def test_optimizers_and_memory_do_not_know_each_other() -> None:
    known = {m: {_layer(name) for name in _imports(MODULES[m])} & set(_ABOVE) - {_layer(m)} for m in _in(*_ABOVE)}
    assert {module: others for module, others in known.items() if others} == {}


def test_nobody_imports_the_command() -> None:
    assert [m for m in MODULES if _layer(m) != "cli" and "cli" in {_layer(n) for n in _own(_imports(MODULES[m]))}] == []


@pytest.mark.parametrize("module", _in("signatures", *_ABOVE, *_CORE))
def test_nobody_imports_the_folders_at_the_root_by_their_own_names(module: str) -> None:
    assert {name.split(".")[0] for name in _imports(MODULES[module])}.isdisjoint({"signatures", "optimizers"})
