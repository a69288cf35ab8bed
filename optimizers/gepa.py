"""`RLMGEPA`: reflective evolution of the instructions of programs that hold RLMs, on whole trajectories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any, Never

import dspy
from dspy.teleprompt import Teleprompter

from rlm_module import Budget, spending
from rlm_module.errors import InputError
from rlm_module.optimizers.arguments import check_program, refuse
from rlm_module.optimizers.evolution.cases import Case, cases
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.evaluations import Evaluations, Reflections
from rlm_module.optimizers.evolution.folder import EVALUATIONS, REFLECTIONS, opened, save
from rlm_module.optimizers.evolution.manifest import data_hash, described
from rlm_module.optimizers.evolution.options import Options, check, default_patience, default_runs
from rlm_module.optimizers.evolution.study import Study

_INSTEAD = {
    "auto": "give max_runs or max_cost_usd",
    "max_full_evals": "give max_runs",
    "max_metric_calls": "give max_runs",
    "reflection_minibatch_size": "give minibatch_size",
    "log_dir": "give run_dir",
    "track_stats": "the compiled program's `compilation` tells all",
}
"""What stands for options of `dspy.GEPA`."""


class RLMGEPA(Teleprompter):
    """Compiles a program with RLMs in it: runs it, shows a reflection model what happened, tries what that proposes.

    Args:
        metric: Takes an example and a prediction, and as `dspy.GEPA`'s metric may take a trace, a predictor's name and
            that predictor's trace; returns a number, or a `dspy.Prediction` with `score` and `feedback`.
        reflection_lm: The model that reads the records and proposes texts. Default: the LM that dspy is configured
            with.
        max_runs: Program runs, validation included. Default: six for each example where no money limit is given.
        max_cost_usd: US dollars for program runs and reflection together. Prices that nobody knows are given by calling
            `compile` within `rlm_module.spending(Budget(prices=...))`.
        patience: Proposals in a row that come to nothing, after which it ends. Default: 25.
        minibatch_size: Examples that did not go well on which one proposal is based.
        learn: Which texts of the RLMs may change: any of "strategy", "extract" (which changes only after runs that
            ended without an answer of their own), "tools" (their descriptions) and "sub_calls" (what sub-LMs are told).
        max_text_chars: The longest text that is tried.
        num_threads: Program runs at once. Default: as dspy is configured.
        run_dir: Folder that keeps all that was paid for: a compile that was stopped goes on from there.
        seed: Of all choices that are left to chance.
        show_progress: Whether a line tells runs, money and the best score.
        perfect_score: The score from which on an example has nothing left to teach.
        **others: None; those that `dspy.GEPA` takes are refused with what to give instead.

    Raises:
        InputError: If an option makes no sense, or is none of these.
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
        **others: Never,
    ) -> None:
        super().__init__()
        refuse("RLMGEPA", others, _INSTEAD)
        check(
            metric=metric,
            reflection_lm=reflection_lm,
            max_runs=max_runs,
            max_cost_usd=max_cost_usd,
            patience=patience,
            minibatch_size=minibatch_size,
            learn=learn,
            max_text_chars=max_text_chars,
            num_threads=num_threads,
            seed=seed,
            perfect_score=perfect_score,
        )
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
        **kwargs: Any,
    ) -> Any:
        """Returns a copy of the program with the best texts that were found; its `compilation` tells how.

        Ctrl-C ends it at once: KeyboardInterrupt is raised with the best program up to then as its `partial`, as is any
        error on the way, and with a `run_dir` the same call goes on from there.

        Args:
            student: The program, which is not changed.
            trainset: Examples to learn from.
            teacher: Not used; dspy's optimizers take one.
            valset: Examples that decide which candidate is returned. Default: the training examples.
            **kwargs: None; dspy's optimizers allow for more.

        Raises:
            InputError: If the program, the examples or an option cannot be used, no LM is configured, nothing that was
                run could be judged, or `run_dir` holds another compile.
        """
        refuse("compile", kwargs, {}, "options are given to RLMGEPA")
        check_program("student", student)
        train = cases(trainset, "trainset")
        val = train if valset is None else cases(valset, "valset")
        return self._run(student, train, val, self._options(train, val))

    def _run(self, student: dspy.Module, train: Sequence[Case], val: Sequence[Case], options: Options) -> Any:
        with ExitStack() as stack:
            folder = None
            if self.run_dir is not None:
                manifest = described(options, student, Components(student, options.learn), train, val)
                folder = stack.enter_context(opened(Path(self.run_dir), manifest))
            evaluations = Evaluations(folder and folder / EVALUATIONS)
            reflections = Reflections(folder and folder / REFLECTIONS)
            earlier = evaluations.cost_usd + reflections.cost_usd
            budget = Budget()
            if options.max_cost_usd is not None:  # a budget has to be above 0; nothing is paid out of one so small
                budget = Budget(cost_usd=max(options.max_cost_usd - earlier, 1e-9))
            spent = stack.enter_context(spending(budget))
            study = Study(options, student, train, val, evaluations, reflections)
            try:
                return study.run()
            except BaseException:
                spent.ledger.stop()  # runs that are under way on other threads pay for nothing more
                raise
            finally:
                if folder is not None:
                    save(folder, study.compilation().to_json())

    def _options(self, train: Sequence[Case], val: Sequence[Case]) -> Options:
        keys = {case.key for case in [*train, *val]}
        max_runs = default_runs(self.max_runs, self.max_cost_usd, len(keys))
        if max_runs is not None and max_runs < len({case.key for case in val}):
            raise InputError(
                f"max_runs={max_runs} does not pay for running the program once on the {len(val)} validation examples; "
                "allow more runs, or give a smaller valset."
            )
        reflection_lm = self.reflection_lm if self.reflection_lm is not None else dspy.settings.lm
        if reflection_lm is None:
            raise InputError(
                "There is no reflection model: pass reflection_lm=dspy.LM(...), or configure dspy with an LM."
            )
        return Options(
            metric=self.metric,
            reflection_lm=reflection_lm,
            max_runs=max_runs,
            max_cost_usd=self.max_cost_usd,
            patience=default_patience(self.patience),
            minibatch_size=self.minibatch_size,
            learn=self.learn,
            max_text_chars=self.max_text_chars,
            num_threads=self.num_threads,
            seed=self.seed,
            show_progress=self.show_progress,
            perfect_score=self.perfect_score,
            data=data_hash(train, val),
        )
