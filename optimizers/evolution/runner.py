"""One run of a program on one example: what it gave, what the metric said, what a reflection model has to know."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy

from rlm_module import RLM, Budget, RunPrediction, Spent, capture_runs, spending
from rlm_module.errors import describe, met_shared_limit
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.rollouts import BROKE, Rollout
from rlm_module.optimizers.failures import FAILURES, require_lm
from rlm_module.optimizers.metrics import Metric
from rlm_module.optimizers.paths import acting_predictor, rlms_of
from rlm_module.optimizers.shortening import ends
from rlm_module.optimizers.trajectories.records import RunRecord, records_of

_NO_MONEY = "The program was not run, since the budget was spent."
FAILED = "The program failed on this example: "
_INPUT_CHARS, _ANSWER_CHARS, _STEP_CHARS, _FEEDBACK_CHARS, _ERROR_CHARS = 600, 2_000, 6_000, 6_000, 600


class Runner:
    """Runs copies of a program.

    Args:
        components: Its texts.
        metric: Judges its outputs.
        is_perfect: Whether a score has nothing left to teach; then the metric is not asked for more.
    """

    def __init__(self, components: Components, metric: Metric, is_perfect: Callable[[float], bool]) -> None:
        self._components = components
        self._metric = metric
        self._is_perfect = is_perfect

    def __call__(self, program: dspy.Module, example: dspy.Example) -> Rollout:
        """Runs the program on an example.

        Raises:
            InputError: If no run can succeed, since there is no LM.
        """
        inputs, began = dict(example.inputs().items()), time.monotonic()
        prediction, fault, failed = None, None, ""
        # What it costs is told by a budget of its own, without limits, below the one of the compile.
        with spending(Budget()) as spent, capture_runs() as runs, dspy.context(trace=[]):
            if _has_nothing_left(spent):
                return Rollout(score=0.0, fault=_NO_MONEY, failed=BROKE)
            program = self._paying(program, spent)
            try:
                prediction = program(**inputs)
            except FAILURES as error:
                require_lm(error)
                fault = f"{FAILED}{ends(describe(error), _ERROR_CHARS)}"
                failed = BROKE if met_shared_limit(error) else "program"
            trace = list(dspy.settings.trace or [])
        seconds, records = time.monotonic() - began, records_of(runs, inputs)
        if any(record.diagnosis.met_shared_limit for record in records):
            failed = BROKE
        shared: dict[str, Any] = {
            "records": records,
            "steps": self._steps(program, trace),
            "inputs": _fields(inputs, _INPUT_CHARS),
            "cost_usd": spent.usage.total.cost_usd,
            "seconds": seconds,
        }
        if fault is not None or failed:
            return Rollout(score=0.0, fault=fault, failed=failed, **shared)
        judged = self._metric.judge(example, prediction)
        answer = _fields(_outputs(prediction), _ANSWER_CHARS)
        notes: dict[str, str] = {}
        if judged.fault is None and self._metric.asks_for_predictor and not self._is_perfect(judged.score):
            notes = self._notes(program, example, prediction, trace, records)
        feedback = judged.feedback
        if notes and len(set(notes.values())) == 1:
            feedback, notes = feedback or next(iter(notes.values())), {}
        return Rollout(
            score=judged.score,
            feedback=ends(feedback, _FEEDBACK_CHARS),
            fault=judged.fault,
            failed="metric" if judged.fault else "",
            notes={owner: ends(text, _FEEDBACK_CHARS) for owner, text in notes.items()},
            answer=answer,
            **shared,
        )

    def _paying(self, program: dspy.Module, spent: Spent) -> dspy.Module:
        """The program, whose predictors with LMs of their own pay for them here, those of frozen parts, too."""
        if not _with_lms(program):
            return program
        copied = program.deepcopy()
        for predictor in _with_lms(copied):
            predictor.lm = spent.lm(predictor.lm)
        return copied

    def _steps(self, program: dspy.Module, trace: Sequence[Any]) -> dict[str, str]:
        """What the plain predictors were given and gave."""
        names = {id(p): name for name, p in program.named_predictors() if name in self._components.predictors}
        steps: dict[str, list[str]] = {}
        for predictor, inputs, outputs in trace:
            if name := names.get(id(predictor)):
                told = f"Given:\n{_fields(inputs, _INPUT_CHARS)}\nGave:\n{_fields(_outputs(outputs), _INPUT_CHARS)}"
                steps.setdefault(name, []).append(told)
        return {name: ends("\n".join(told), _STEP_CHARS) for name, told in steps.items()}

    def _notes(
        self, program: dspy.Module, example: Any, prediction: Any, trace: Sequence[Any], records: Sequence[RunRecord]
    ) -> dict[str, str]:
        """What the metric says when it is asked about one RLM or predictor, for each that acted."""
        acted = {record.path for record in records} | self._steps(program, trace).keys()
        predictors = {id(p): name for name, p in program.named_predictors()}
        rlms = rlms_of(program)
        names = {owner: name for owner, rlm in rlms.items() if (name := predictors.get(id(rlm.generate_action)))}
        said: dict[str, str] = {}
        for by_path in (False, True):
            for owner in [owner for owner in self._components.owners if owner in acted]:
                name = owner if owner in self._components.predictors else names.get(owner, acting_predictor(owner))
                own = [step for step in trace if predictors.get(id(step[0])) == name]
                judged = self._metric.judge(example, prediction, trace, owner if by_path else name, own)
                said[owner] = judged.feedback
            if len(self._components.owners) < 2 or len(set(said.values())) > 1:
                break  # a metric may know an RLM by its place in the program instead
        return said


def _with_lms(program: dspy.Module) -> list[Any]:
    """Its predictors that have an LM of their own, without those of RLMs, which pay for it by themselves."""
    rlms = [module for _, module in program.named_sub_modules(RLM)]
    own = {id(predictor) for rlm in rlms for _, predictor in rlm.named_sub_modules(dspy.Predict)}
    found = [predictor for _, predictor in program.named_sub_modules(dspy.Predict) if id(predictor) not in own]
    return [predictor for predictor in found if getattr(predictor, "lm", None) is not None]


def _has_nothing_left(spent: Spent) -> bool:
    """Whether calls that could not be refused have used up what is shared."""
    left = spent.left
    return (left.cost_usd is not None and left.cost_usd <= 0) or (left.tokens is not None and left.tokens <= 0)


def _outputs(prediction: Any) -> Mapping[str, Any]:
    if not isinstance(prediction, dspy.Prediction):
        return {"": prediction}
    if not isinstance(prediction, RunPrediction):
        return dict(prediction.items())
    return {name: value for name, value in prediction.items() if name not in ("trajectory", "final_reasoning")}


def _fields(values: Mapping[str, Any], chars: int) -> str:
    lines = [f"{name}: {_shown(value, chars)}" if name else _shown(value, chars) for name, value in values.items()]
    return ends("\n".join(lines), 3 * chars)


def _shown(value: Any, chars: int) -> str:
    try:
        return ends(value if isinstance(value, str) else repr(value), chars)
    except Exception:
        return f"a {type(value).__name__} that cannot be shown"
