"""What a program reaches on examples, each of which is run once."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import dspy

from rlm_module import Budget, spending
from rlm_module.errors import in_a_line
from rlm_module.optimizers.arguments import check_metric, checked_examples
from rlm_module.optimizers.failures import FAILURES, require_lm
from rlm_module.optimizers.metrics import Metric
from rlm_module.optimizers.saving import Measured
from rlm_module.optimizers.threads import each_done

logger = logging.getLogger(__name__)


def measure(
    program: dspy.Module,
    examples: Sequence[dspy.Example],
    metric: Callable[..., Any],
    *,
    num_threads: int | None = None,
) -> Measured:
    """Runs a program over examples and averages what the metric says. An example on which either fails counts as 0.

    Unlike `dspy.Evaluate` it never runs an example a second time because the first takes long.

    Args:
        program: It.
        examples: With their inputs marked.
        metric: Judges its predictions; see `Metric` for what it may take and return.
        num_threads: Examples at a time; None for `dspy.settings.num_threads`.

    Raises:
        InputError: If there are no examples, one has no inputs, the metric cannot be called, or there is no LM.
    """
    check_metric(metric)
    judge = Metric(metric)

    def score(example: dspy.Example) -> float:
        try:
            prediction = program(**example.inputs())
        except FAILURES as error:
            require_lm(error)
            logger.warning("An example counts as 0, since the program failed: %s", in_a_line(error))
            return 0.0
        judged = judge.judge(example, prediction)
        if judged.fault:
            logger.warning("%s", judged.fault)
        return judged.score

    with spending(Budget()) as spent:
        scores = list(each_done(score, checked_examples(examples, "set of examples"), num_threads))
    return Measured(examples=len(scores), score=statistics.fmean(scores), cost_usd=spent.usage.total.cost_usd)
