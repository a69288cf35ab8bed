"""Turns any metric into one whose feedback tells what happened in the runs, for stock optimizers and for ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import dspy

from rlm_module import Run, RunPrediction, traced_runs
from rlm_module.errors import InputError
from rlm_module.events import AnyEvent
from rlm_module.optimizers.arguments import check_metric
from rlm_module.optimizers.metrics import Judged, Metric
from rlm_module.optimizers.paths import owner_of, plain_path
from rlm_module.optimizers.trajectories.diagnosis import diagnose
from rlm_module.optimizers.trajectories.records import render

_RUNS, _OTHER_RUNS = 3, 8


class _Ran(Protocol):
    """A run that is over, or its journal."""

    @property
    def run_id(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def events(self) -> tuple[AnyEvent, ...]: ...


class TrajectoryFeedback:
    """A metric with feedback from the trajectory; made by `trajectory_feedback`.

    Args:
        metric: The user's, as any optimizer may have it instead.
        chars: The longest that a rendering of a run may be; 0 for none.
    """

    def __init__(self, metric: Callable[..., Any], chars: int) -> None:
        self.metric = metric
        self.chars = chars
        self._judge = Metric(metric)

    def __call__(
        self,
        example: Any,
        prediction: Any,
        trace: Any = None,
        pred_name: str | None = None,
        pred_trace: Any = None,
        program_trace: Any = None,
    ) -> Any:
        """The score, with feedback where somebody can read it.

        Args:
            example: With the expected outputs.
            prediction: The program's.
            trace: dspy's trace of the program's run.
            pred_name: The predictor that feedback is asked for.
            pred_trace: That predictor's part of the trace.
            program_trace: The same as `trace`, from callers that keep it apart.

        Returns:
            A number where a trace is given and no predictor named, which is how demonstrations are gathered: dspy takes
            any `Prediction` for a success. Else a `dspy.Prediction` with `score`, `feedback` and, where the metric has
            them, `objective_scores`.
        """
        judged = self._judge.judge(example, prediction, trace, pred_name, pred_trace)
        is_bootstrapping = trace is not None and pred_name is None
        if is_bootstrapping or not isinstance(example, dspy.Example):  # dspy.BestOfN passes the inputs as a dict
            return judged.score
        runs = _runs(prediction, trace or program_trace or ())
        named = () if pred_name is None else _runs(None, pred_trace or ())
        told = _Telling(_inputs(example), runs, pred_name, named, self.chars)
        objectives = {"objective_scores": dict(judged.objectives)} if judged.objectives else {}
        return dspy.Prediction(score=judged.score, feedback=told.text(judged), **objectives)


def trajectory_feedback(metric: Callable[..., Any], *, chars: int = 6_000) -> TrajectoryFeedback:
    """The metric, with textual feedback from the trajectory: errors, wasted turns, unread input, how a run ended.

    The metric's own feedback comes first, whole. It serves wherever dspy takes a metric. Runs are found in the
    prediction, which they are part of where the program is an RLM, and in the trace, which `dspy.GEPA` passes with each
    request for feedback. Of a larger program without a trace (`dspy.SIMBA`) nothing is known of its runs, and only the
    metric's own words are there.

    Args:
        metric: Any metric; see `Metric` for what it may take and return. What it raises, or returns instead of a
            score, is a score of 0 with a sentence on it.
        chars: The longest that a rendering of a run may be, in characters; 0 for none. It is part of the feedback only
            where a predictor is named, which is where a model reads it.

    Raises:
        InputError: If the metric cannot be called.
    """
    check_metric(metric)
    if chars < 0:
        raise InputError(f"chars is a length, at least 0, not {chars!r}.")
    return TrajectoryFeedback(plain_metric(metric), chars)


def plain_metric(metric: Callable[..., Any]) -> Callable[..., Any]:
    """The user's metric, without feedback from the trajectory, for callers that show trajectories themselves."""
    return metric.metric if isinstance(metric, TrajectoryFeedback) else metric


class _Telling:
    """What is said of the runs of one program run."""

    def __init__(
        self,
        inputs: Mapping[str, Any],
        runs: Sequence[_Ran],
        predictor: str | None,
        named: Sequence[_Ran],
        chars: int,
    ) -> None:
        owner = None if predictor is None else owner_of(predictor)
        ids = {run.run_id for run in named}
        self._is_asked = predictor is not None
        self._own = [run for run in runs if run.run_id in ids]
        self._own += [run for run in runs if run.run_id not in ids and owner in (None, plain_path(run.path))]
        own_ids = {run.run_id for run in self._own}
        self._others = [run for run in runs if run.run_id not in own_ids]
        self._inputs = inputs
        self._chars = chars

    def text(self, judged: Judged) -> str:
        """The feedback: the metric's, then the runs of the RLM that is asked about, then those of others."""
        said = [judged.feedback or f"The score is {judged.score:g}."]
        said += [judged.fault] if judged.fault else []
        said += [self._diagnosed(run) for run in self._own[:_RUNS]]
        said += [self._diagnosed(run) for run in self._others[:_OTHER_RUNS]]
        untold = max(0, len(self._own) - _RUNS) + max(0, len(self._others) - _OTHER_RUNS)
        said += [f"There were {untold:,} more runs."] if untold else []
        if self._own and self._is_asked and self._chars:
            said.append(f"What happened in it:\n{render(self._own[0].events, chars=self._chars)}")
        return "\n\n".join(said)

    def _diagnosed(self, run: _Ran) -> str:
        diagnosis, path = diagnose(run.events, self._inputs), plain_path(run.path)
        name = f"The run of `{path}`" if path else "The run"
        sentences = diagnosis.sentences() or ["Nothing failed and nothing was repeated."]
        return f"{name}: {' '.join([*sentences, diagnosis.cost_line()])}"


def _runs(prediction: Any, trace: Any) -> list[_Ran]:
    """Runs that a prediction and a trace tell of, each once."""
    found: list[_Ran] = list(traced_runs(trace))
    values = [prediction, *prediction.values()] if isinstance(prediction, dspy.Prediction) else []
    for value in values:
        run = getattr(value, "_run", None) if isinstance(value, RunPrediction) else None
        if isinstance(run, Run):
            found.append(run)
    return list({run.run_id: run for run in found}.values())


def _inputs(example: dspy.Example) -> dict[str, Any]:
    try:
        return dict(example.inputs().items())
    except ValueError:  # nobody said which of its fields are inputs
        return {}
