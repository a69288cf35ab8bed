"""`RLMGEPA`: reflective evolution of the instructions of programs that hold RLMs, on whole trajectories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter

from rlm_module.optimizers.study import Study


class RLMGEPA(Teleprompter):
    """Compiles a program with RLMs in it: runs it, shows a reflection model what happened, tries what that proposes.

    Args:
        metric: Takes an example and a prediction, and as `dspy.GEPA`'s metric may take a trace, a predictor's name and
            that predictor's trace; returns a number, or a `dspy.Prediction` with `score` and `feedback`.
        reflection_lm: The model that reads the records and proposes texts. Default: the LM that dspy is configured
            with.
        max_runs: Program runs, validation included. Default: six for each example, where no money limit is given.
        max_cost_usd: US dollars for program runs and reflection together.
        patience: Proposals in a row that are not accepted, after which it ends.
        minibatch_size: Examples that did not go well on which one proposal is based.
        learn: Which texts of the RLMs may change: any of "strategy", "extract" (which changes only after runs that
            ended without an answer of their own), "tools" (their descriptions) and "sub_calls" (what sub-LMs are told).
        max_text_chars: The longest text that is tried.
        num_threads: Program runs at once. Default: as dspy is configured.
        run_dir: Folder that keeps all that was paid for: a compile that was stopped goes on from there.
        seed: Of all choices that are left to chance.
        show_progress: Whether a line tells runs, money and the best score.
        perfect_score: The score from which on an example has nothing left to teach.
    """

    def __init__(
        self,
        metric: Callable[..., Any],
        *,
        reflection_lm: Any = None,
        max_runs: int | None = None,
        max_cost_usd: float | None = None,
        patience: int | None = None,
        minibatch_size: int = 3,
        learn: Sequence[str] = ("strategy", "extract"),
        max_text_chars: int = 12_000,
        num_threads: int | None = None,
        run_dir: str | PathLike[str] | None = None,
        seed: int = 0,
        show_progress: bool = True,
        perfect_score: float = 1.0,
    ) -> None:
        super().__init__()
        self.metric = metric
        self.reflection_lm = reflection_lm
        self.max_runs = max_runs
        self.max_cost_usd = max_cost_usd
        self.patience = patience
        self.minibatch_size = minibatch_size
        self.learn = tuple(learn)
        self.max_text_chars = max_text_chars
        self.num_threads = num_threads
        self.run_dir = run_dir
        self.seed = seed
        self.show_progress = show_progress
        self.perfect_score = perfect_score

    def compile(
        self,
        student: dspy.Module,
        *,
        trainset: Sequence[dspy.Example],
        teacher: Any = None,
        valset: Sequence[dspy.Example] | None = None,
    ) -> Any:
        """Returns a copy of the program with the best texts that were found; its `compilation` tells how.

        Args:
            student: The program, which is not changed.
            trainset: Examples to learn from.
            teacher: Not used.
            valset: Examples that decide which candidate is returned. Default: the training examples.

        Raises:
            InputError: If the program, the examples or an option cannot be used.
        """
        study = Study(self, student, trainset, valset)
        return study.run()
