"""Calls a metric, whatever it takes and returns, and says what it judged."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dspy

from rlm_module.errors import describe
from rlm_module.optimizers.failures import FAILURES
from rlm_module.optimizers.shortening import ends, one_line

logger = logging.getLogger(__name__)

_NAMES = ("example", "prediction", "trace", "pred_name", "pred_trace", "program_trace")
_BY_NAME = _NAMES[2:]
_FEEDBACK_CHARS = 20_000
_FAULT_CHARS = 300
_OBJECTIVES = 50


@dataclass(frozen=True, slots=True)
class Judged:
    """What a metric said of one prediction.

    Args:
        score: A finite number.
        feedback: Its words, if it had any.
        objectives: Further scores by name, of a `Prediction(objective_scores=...)`.
        fault: One sentence where it raised, or returned no usable score, which is 0 then.
    """

    score: float
    feedback: str = ""
    objectives: Mapping[str, float] = field(default_factory=dict[str, float])
    fault: str | None = None


class Metric:
    """A metric of two, three, five or six parameters, as dspy's optimizers take them, behind one call.

    The parameters are `(example, prediction, trace, pred_name, pred_trace, program_trace)`. Parameters that have a
    default of their own other than None, such as a threshold, keep it. A metric without `pred_name` is given no trace
    where a predictor is named.

    Args:
        metric: It. It may return a number, a bool, or a `dspy.Prediction` or mapping with `score` and, if it likes,
            `feedback` and `objective_scores`.
    """

    def __init__(self, metric: Callable[..., Any]) -> None:
        self.metric = metric
        self._positions, self._keywords = _taken(metric)
        self._takes_predictor = self._positions > 3 or "pred_name" in self._keywords
        self._has_told_of_bool = False

    @property
    def asks_for_predictor(self) -> bool:
        """Whether it takes the name of the predictor that feedback is asked for."""
        return self._positions > _NAMES.index("pred_name") or "pred_name" in self._keywords

    def judge(
        self,
        example: Any,
        prediction: Any,
        trace: Any = None,
        predictor: str | None = None,
        predictor_trace: Any = None,
    ) -> Judged:
        """What the metric says; never raises, except for Ctrl-C.

        Args:
            example: With the expected outputs.
            prediction: The program's.
            trace: dspy's trace of the program's run; None where the metric is to score and nothing else.
            predictor: The name of the predictor that feedback is asked for.
            predictor_trace: That predictor's part of the trace.
        """
        # A metric that knows nothing of predictors takes a trace for a sign that demonstrations are being gathered.
        shown = trace if predictor is None or self._takes_predictor else None
        given = (example, prediction, shown, predictor, predictor_trace, trace)
        named: dict[str, Any] = dict(zip(_NAMES, given, strict=True))
        try:
            returned = self.metric(*given[: self._positions], **{name: named[name] for name in self._keywords})
            return self._read(returned)
        except FAILURES as error:
            told = one_line(describe(error), _FAULT_CHARS)
            return Judged(0.0, fault=f"The metric raised {told}; the example counts as 0.")

    def _read(self, returned: Any) -> Judged:
        score, feedback, objectives = returned, "", dict[str, float]()
        if isinstance(returned, (dspy.Prediction, Mapping)):
            if "score" not in returned:
                return Judged(0.0, fault="The metric returned an answer without a score; give it a `score`.")
            score = returned["score"]
            feedback = ends(str(returned.get("feedback") or ""), _FEEDBACK_CHARS)
            objectives = _objectives(returned.get("objective_scores"))
        elif inspect.isawaitable(returned):
            if inspect.iscoroutine(returned):
                returned.close()
            return Judged(0.0, fault="The metric is async, which nobody awaits; make it an ordinary function.")
        if isinstance(score, bool) and not self._has_told_of_bool:
            self._has_told_of_bool = True
            logger.info("The metric returns True or False, which count as 1 and 0.")
        number = _number(score)
        if number is None:
            fault = f"The metric returned {one_line(repr(score), _FAULT_CHARS)} as its score; return a finite number."
            return Judged(0.0, feedback, objectives, fault)
        return Judged(number, feedback, objectives)


def _taken(metric: Callable[..., Any]) -> tuple[int, tuple[str, ...]]:
    """How many of the values a metric takes by position, and which it takes by name."""
    # A module's own call takes anything; what it needs is told by its `forward`, to be taken from the class.
    called: Any = getattr(type(metric), "forward", metric) if isinstance(metric, dspy.Module) else metric
    try:
        parameters = list(inspect.signature(called).parameters.values())
    except (TypeError, ValueError):
        return 2, ()
    parameters = parameters[1:] if called is not metric else parameters
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    count = 0
    for place in places[: len(_NAMES)]:
        if count >= 2 and place.default not in (None, place.empty):
            break
        count += 1
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) and count == len(places):
        count = max(count, 5)
    taken = {place.name for place in places[:count]} | set(_NAMES[:count])
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    named = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return count, tuple(name for name in _BY_NAME if name not in taken and (takes_all or name in named))


def _number(score: Any) -> float | None:
    if isinstance(score, (str, bytes, bytearray)) or not hasattr(type(score), "__float__"):
        return None
    try:
        number = float(score)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _objectives(given: Any) -> dict[str, float]:
    if not isinstance(given, Mapping):
        return {}
    read = {str(name): _number(score) for name, score in list(given.items())[:_OBJECTIVES]}
    return {name: score for name, score in read.items() if score is not None}
