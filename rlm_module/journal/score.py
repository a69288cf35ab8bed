"""Scores: somebody's judgement of a run's answer, added to its record."""

from __future__ import annotations

import math
import os

from rlm_module.errors import InputError
from rlm_module.events import Scored
from rlm_module.journal.folder import RunFolder
from rlm_module.journal.reading import events_file, read_run
from rlm_module.journal.tree import build_tree


def score_run(path: str | os.PathLike[str], score: float) -> None:
    """Adds a score to a run that has ended; the last one counts.

    Args:
        path: The run's folder, or its `events.jsonl`.
        score: How good its answer is, in a measure of the caller's.

    Raises:
        InputError: If the run has not ended or cannot be written, or the score is no finite number.
    """
    if not math.isfinite(score):
        raise InputError(f"a score must be a finite number, not {score}; give one such as 0.5.")
    folder = RunFolder.reopen(events_file(path).parent, quiet=True)
    try:
        tree = build_tree(read_run(folder.path))
        if tree.root.ended is None:
            raise InputError(f"{folder.path} has not ended, so it has no answer to score; resume it first.")
        folder.write(Scored(run_id=tree.run_id, score=float(score)))
    finally:
        folder.close()
    if folder.fault is not None:
        raise InputError(folder.fault)
