"""Runs that are cut off: in their root's next turn, or, as if they were killed, after a certain event of the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import dspy

from rlm_module import RLM
from rlm_module.journal import run_folders
from rlm_module.journal.folder import EVENTS
from tests.scripted import ScriptedLM, turn

CUT = KeyboardInterrupt()


def run_with(rlm: RLM, *replies: Any, sub: Any = None, **inputs: Any) -> Any:
    """A run whose root gives these replies; what is raised where one is an exception, is returned."""
    if sub is not None:
        rlm.sub_lm = sub
    with dspy.context(lm=ScriptedLM(replies)):
        try:
            return rlm(**(inputs or {"q": "1"}))
        except BaseException as error:
            return error


def only_run(journal: Path) -> Path:
    (folder,) = run_folders(journal)
    return folder


def cut_off(rlm: RLM, *cells: str, sub: Any = None, **inputs: Any) -> Path:
    """The folder of a run that is cut off as its root is asked for one more turn than there are cells."""
    assert isinstance(run_with(rlm, *map(turn, cells), CUT, sub=sub, **inputs), KeyboardInterrupt)
    assert rlm.journal is not None
    return only_run(rlm.journal)


def resume(rlm: Any, folder: Path, *replies: Any) -> tuple[Any, ScriptedLM]:
    lm = ScriptedLM(replies)
    with dspy.context(lm=lm):
        return rlm.resume(folder), lm


def rewrite(folder: Path, change: Callable[[list[dict[str, Any]]], Iterable[dict[str, Any]]]) -> None:
    file = folder / EVENTS
    lines = change([json.loads(line) for line in file.read_text().splitlines()])
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def cut_after(folder: Path, is_last: Callable[[dict[str, Any]], bool]) -> None:
    """Leaves of a record what was in it when its run was killed after a certain event."""

    def kept(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return lines[: next(n for n, line in enumerate(lines, 1) if is_last(line))]

    rewrite(folder, kept)
