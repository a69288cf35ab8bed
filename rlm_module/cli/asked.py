"""What a recorded run was asked, in a few words: its instructions, and its inputs, short ones as they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from rlm_module.cli.display import BULLET, first_line
from rlm_module.cli.recorded import one_line
from rlm_module.events import RunStarted
from rlm_module.journal import short_inputs

_TASK_WIDTH, _PIPE_WIDTH = 60, 120


def asked(folder: Path, started: RunStarted) -> list[str]:
    """Its parts, those first that tell runs of one program apart; long inputs are told by type and size.

    Args:
        folder: The run's.
        started: Its beginning.
    """
    short = short_inputs(folder, started)
    parts = [f"{name}: {value if isinstance(value, str) else repr(value)}" for name, value in short.items()]
    parts += [f"{name}: {about}" for name, about in started.inputs.items() if name not in short]
    written = "" if started.instructions.startswith("Given the fields `") else started.instructions  # dspy's own words
    return [one_line(part) for part in (first_line(written, _TASK_WIDTH), *parts) if part]


def fitted(parts: Iterable[str], margin: str = "") -> str:
    """The parts on one line, cut to the width of the terminal."""
    width = shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns
    return margin + first_line(BULLET.join(parts), width - len(margin))
