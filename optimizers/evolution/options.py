"""How a program is compiled: the options of `RLMGEPA`, checked and with their defaults."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from rlm_module.errors import InputError
from rlm_module.optimizers.arguments import check_count, check_metric, is_finite, is_whole
from rlm_module.optimizers.evolution.components import LEARNABLE

logger = logging.getLogger(__name__)

_RUNS_PER_EXAMPLE = 6
_PATIENCE = 25
_CLOSE = 1e-9


class Mark:
    """The score from which on an example has nothing left to teach; it rises with what the metric gives.

    Args:
        score: Where it stands at first.
    """

    def __init__(self, score: float) -> None:
        self.score = score

    def reaches(self, score: float) -> bool:
        """Whether a score is as good as perfect."""
        return score >= self.score - _CLOSE

    def raise_to(self, score: float) -> None:
        """Raises it, if a score is above, and says so."""
        if score > self.score + _CLOSE:
            logger.warning(
                "The metric gave %g, which is above perfect_score=%g, so examples below that are learned from, too; "
                "pass the best score that it can give.",
                score,
                self.score,
            )
            self.score = score


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Those of one compile; `RLMGEPA` tells what they mean.

    Args:
        data: Hash of the examples.
    """

    metric: Callable[..., Any]
    reflection_lm: Any
    max_runs: int | None
    max_cost_usd: float | None
    patience: int
    minibatch_size: int
    learn: tuple[str, ...]
    max_text_chars: int
    num_threads: int | None
    seed: int
    show_progress: bool
    perfect_score: float
    data: str = ""


def default_runs(max_runs: int | None, max_cost_usd: float | None, examples: int) -> int | None:
    """The limit of program runs: six for each example where neither runs nor money are limited."""
    return _RUNS_PER_EXAMPLE * examples if max_runs is None and max_cost_usd is None else max_runs


def default_patience(patience: int | None) -> int:
    """Proposals in a row that may come to nothing."""
    return _PATIENCE if patience is None else patience


def enough_runs(val: int, minibatch: int) -> int:
    """Runs that a compile needs to learn anything: the program and one candidate are run on all validation examples,
    and proposals are tried on minibatches, of which the first may well come to nothing.
    """
    return 2 * val + 4 * minibatch


def check(
    *,
    metric: Any,
    reflection_lm: Any,
    max_runs: Any,
    max_cost_usd: Any,
    patience: Any,
    minibatch_size: Any,
    learn: Any,
    max_text_chars: Any,
    num_threads: Any,
    seed: Any,
    perfect_score: Any,
) -> None:
    """Refuses options that make no sense.

    Raises:
        InputError: Naming the first such option.
    """
    check_metric(metric)
    if reflection_lm is not None and not callable(reflection_lm):
        raise InputError(f"reflection_lm must be a dspy.LM or a function of a prompt, not {reflection_lm!r}; pass one.")
    check_count("max_runs", max_runs, may_be_none=True)
    check_count("patience", patience, may_be_none=True)
    check_count("minibatch_size", minibatch_size)
    check_count("max_text_chars", max_text_chars)
    check_count("num_threads", num_threads, may_be_none=True)
    if max_cost_usd is not None and not (is_finite(max_cost_usd) and max_cost_usd > 0):
        raise InputError(f"max_cost_usd must be an amount above 0, not {max_cost_usd!r}; leave it out for no limit.")
    if not is_finite(perfect_score):
        raise InputError(f"perfect_score must be a finite number, not {perfect_score!r}.")
    if not is_whole(seed):
        raise InputError(f"seed must be a whole number, not {seed!r}.")
    if isinstance(learn, str) or not isinstance(learn, Sequence | Set):
        raise InputError(f'learn must be a list of names such as ["strategy"], not {learn!r}.')
    if unknown := [name for name in learn if name not in LEARNABLE]:
        raise InputError(f"learn takes {', '.join(map(repr, LEARNABLE))}, not {unknown[0]!r}.")
