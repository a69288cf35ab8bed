"""The two optimizers, called alike: within a cap on program runs, on the examples of a world."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Generator
from typing import Any, Literal, TypeAlias

import dspy

from benchmarks.compiling.advice import World

Compiler: TypeAlias = Literal["RLMGEPA", "dspy.GEPA"]

ITERATION = 18
"""Program runs of one iteration of dspy.GEPA at most: two minibatches of three, and twelve validation examples."""


def compiled_by(
    compiler: Compiler,
    program: dspy.Module,
    world: World,
    metric: Any,
    models: tuple[dspy.LM, dspy.LM],
    cap: int,
    seed: int,
) -> Any:
    """The program that an optimizer returns.

    Args:
        compiler: The optimizer.
        program: What to compile.
        world: Whose examples to use.
        metric: Judges them.
        models: The task model and the reflection model.
        cap: Program runs that it may make.
        seed: The optimizer's.
    """
    task_lm, reflection_lm = models
    made: Any
    if compiler == "RLMGEPA":
        from rlm_module.optimizers import RLMGEPA

        made = RLMGEPA(metric, reflection_lm=reflection_lm, max_runs=cap, num_threads=1, seed=seed, show_progress=False)
    else:
        # It looks at its limit between iterations only, so it has to stop an iteration early to stay within the cap.
        calls = cap - ITERATION + 1
        made = dspy.GEPA(metric, max_metric_calls=calls, reflection_lm=reflection_lm, num_threads=1, seed=seed)
    training, validation = ([case.example() for case in cases] for cases in (world.training, world.validation))
    with silence(), dspy.context(lm=task_lm):
        return made.compile(program, trainset=training, valset=validation)


@contextlib.contextmanager
def silence() -> Generator[None]:
    """Without progress bars, logs and warnings."""
    before, told = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(before)
