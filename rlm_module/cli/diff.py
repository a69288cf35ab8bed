"""`rlm diff`: what two compiled programs have learned, side by side."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rlm_module.cli.display import BULLET, printable
from rlm_module.cli.exits import reported_failures
from rlm_module.cli.recorded import say

if TYPE_CHECKING:
    from rlm_module.optimizers import Measured, Provenance, SavedProgram

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
def diff(old: Path, new: Path) -> None:
    """Show what one saved program has learned that another has not.

    OLD and NEW are JSON files that `rlm optimize` or `program.save` wrote. Instructions, learned descriptions and
    demonstrations are compared line by line; scores and cost stand on top. Exit status: 0, or 2 if one of them cannot
    be read.
    """
    from rlm_module.optimizers import read_saved

    with reported_failures():
        programs = read_saved(old), read_saved(new)
    for name, program in zip((old, new), programs, strict=True):
        say(printable(_headline(name, program)))
    lines = [line for part in _differences(*programs) for line in part]
    for line in lines or ["Both have learned the same."]:
        shown = printable(line)
        say(click.style(shown, fg=_COLOURS.get(shown[:1])) if sys.stdout.isatty() else shown)


def _headline(path: Path, program: SavedProgram) -> str:
    provenance = program.provenance
    return BULLET.join([str(path), *(_facts(provenance) if provenance else ["no record of how it was compiled"])])


def _facts(provenance: Provenance) -> Iterator[str]:
    yield provenance.optimizer
    for name, measured in (("validation", provenance.validation), ("held out", provenance.held_out)):
        if measured is not None:
            yield f"{name} {_measured(measured)}"
    yield f"{provenance.runs:,} program runs"
    if provenance.cost_usd is not None:
        yield f"compiled for ${provenance.cost_usd:.4g}"


def _measured(measured: Measured) -> str:
    cost = f" at ${measured.cost_usd / measured.examples:.4g} a run" if measured.cost_usd and measured.examples else ""
    return f"{measured.score:.3g}{cost}"


def _differences(old: SavedProgram, new: SavedProgram) -> Iterator[list[str]]:
    """A unified diff for each text that differs."""
    before, after = _texts(old.state), _texts(new.state)
    for name in dict.fromkeys([*before, *after]):
        pair = (before.get(name, "").splitlines(), after.get(name, "").splitlines())
        lines = list(difflib.unified_diff(*pair, name, name, lineterm="", n=2))
        if lines:
            yield ["", name, *lines[2:]]


def _texts(state: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """All that was learned as texts by name, whichever kind of parameter it is of."""
    found: dict[str, str] = {}
    for name, parameter in state.items():
        for key, value in parameter.items():
            if isinstance(value, Mapping):  # dspy's own predictors hold their instructions one level deeper
                inner = {part: text for part, text in value.items() if isinstance(text, str)}
                found |= {f"{name}{BULLET}{key}{BULLET}{part}": text for part, text in inner.items()}
            elif isinstance(value, str):
                found[f"{name}{BULLET}{key}"] = value
            elif value and key == "demos":
                found[f"{name}{BULLET}demos"] = "\n".join(_outline("demos", value))
    return found


def _outline(name: str, value: Any, margin: str = "") -> Iterator[str]:
    """A value of JSON for people: what it holds below its name, and texts line by line."""
    if isinstance(value, Mapping):
        yield f"{margin}{name}"
        for key, item in value.items():
            yield from _outline(str(key), item, f"{margin}  ")
    elif isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        for number, item in enumerate(value, 1):
            yield from _outline(f"{name.removesuffix('s')} {number}", item, margin)
    elif isinstance(value, str) and "\n" in value:
        yield f"{margin}{name}:"
        yield from (f"{margin}  {line}" for line in value.split("\n"))
    else:
        yield f"{margin}{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
