"""Program runs: one candidate on one example, with what a reflection model has to know of it."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from typing import Any

import dspy

from rlm_module import capture_runs
from rlm_module.errors import InputError
from rlm_module.journal import Journal
from rlm_module.optimizers.components import Components, predictor_name
from rlm_module.optimizers.evaluations import Evaluations, digest
from rlm_module.optimizers.layout import ends
from rlm_module.optimizers.metrics import Metric
from rlm_module.optimizers.records import RunRecord, records_of
from rlm_module.optimizers.stopping import Allowance

_INPUT_CHARS, _ANSWER_CHARS, _STEP_CHARS, _FEEDBACK_CHARS, _ERROR_CHARS = 600, 2_000, 6_000, 6_000, 600
_FAULTS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """One example.

    Args:
        number: Its index among those that it was given with.
        example: It.
        key: Hash of what it holds.
    """

    number: int
    example: dspy.Example = field(repr=False, compare=False)
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A run of the program on an example.

    Args:
        score: The metric's; 0 where there is none.
        feedback: The metric's words.
        fault: One sentence where the program or the metric failed.
        failed: Which of the two.
        notes: What the metric said when it was asked about one RLM or predictor, where that differs, by its place.
        records: Of the runs of its RLMs, in order.
        steps: What its plain predictors were given and gave, by name.
        inputs: The example's inputs, shortened.
        answer: The program's outputs, shortened.
        cost_usd: None where a price is not known.
        seconds: Wall time.
    """

    score: float
    feedback: str = ""
    fault: str | None = None
    failed: str = ""
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    records: tuple[RunRecord, ...] = ()
    steps: Mapping[str, str] = field(default_factory=dict[str, str])
    inputs: str = ""
    answer: str = ""
    cost_usd: float | None = 0.0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "records": [record.to_json() for record in self.records]}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Rollout:
        """What `to_json` gave."""
        return cls(**{**state, "records": tuple(RunRecord.from_json(record) for record in state["records"])})

    def of(self, owner: str) -> list[RunRecord]:
        """The runs of one RLM."""
        return [record for record in self.records if record.path == owner]


class Rollouts:
    """Runs candidates on examples, each pair once.

    Args:
        student: The program, of which copies are run.
        components: Its texts.
        metric: Judges its outputs.
        allowance: Out of which runs are paid.
        evaluations: Where they are kept.
        threads: Runs at once.
        spending: Makes the scope in which a live run is charged, and gives back what it cost.
    """

    def __init__(
        self,
        student: dspy.Module,
        components: Components,
        metric: Metric,
        allowance: Allowance,
        evaluations: Evaluations,
        threads: int = 1,
        on_run: Callable[[], None] = lambda: None,
    ) -> None:
        self._student = student
        self._components = components
        self._metric = metric
        self._allowance = allowance
        self._evaluations = evaluations
        self._threads = threads
        self._on_run = on_run
        self._done: dict[str, dict[str, Rollout]] = {}

    def known(self, texts: Mapping[str, str]) -> Mapping[str, Rollout]:
        """The runs that a candidate has had, by the key of the example."""
        return self._done.get(digest(dict(texts)), {})

    def can_run(self, runs: int) -> bool:
        """Whether so many more can be paid."""
        return self._allowance.can_run(runs)

    def run(self, texts: Mapping[str, str], cases: Sequence[Case]) -> list[Rollout]:
        """Runs a candidate on examples, as far as it has not been, and returns all in order.

        Raises:
            Exhausted: If that cannot be paid; nothing is run then.
            InputError: If no run can succeed, such as without an LM.
        """
        candidate = digest(dict(texts))
        done = self._done.setdefault(candidate, {})
        missing = list({case.key: case for case in cases if case.key not in done}.values())
        if missing:
            self._allowance.admit(len(missing))
        live: list[Case] = []
        for case in missing:
            earlier = self._evaluations.find(candidate, case.key)
            if earlier is None:
                live.append(case)
            else:
                self._book(done, case, Rollout.from_json(earlier))
        if live:
            program = self._components.copy_with(self._student, texts)
            jobs = [lambda case=case: self._run(program, candidate, case) for case in live]
            for case, rollout in zip(live, side_by_side(jobs, self._threads), strict=True):
                self._book(done, case, rollout)
        return [done[case.key] for case in cases]

    def _book(self, done: dict[str, Rollout], case: Case, rollout: Rollout) -> None:
        done[case.key] = rollout
        self._allowance.book_run(rollout.cost_usd)
        self._on_run()

    def _run(self, program: dspy.Module, candidate: str, case: Case) -> Rollout:
        rollout = self._roll(program, case.example)
        self._evaluations.add(candidate, case.key, rollout.to_json())
        return rollout

    def _roll(self, program: dspy.Module, example: dspy.Example) -> Rollout:
        inputs, began, prediction, fault = dict(example.inputs().items()), time.monotonic(), None, None
        with capture_runs() as runs, dspy.context(trace=[]):
            try:
                prediction = program(**inputs)
            except dspy.LMNotConfiguredError as error:
                raise InputError("No LM is configured; call dspy.configure(lm=dspy.LM(...)).") from error
            except Exception as error:
                fault = f"The program failed on this example: {_described(error)}"
            trace = list(dspy.settings.trace or [])
        seconds = time.monotonic() - began
        records = records_of(runs, inputs)
        shared = {
            "records": records,
            "steps": self._steps(program, trace),
            "inputs": _fields(inputs, _INPUT_CHARS),
            "cost_usd": _cost(runs, records),
            "seconds": seconds,
        }
        if fault is not None:
            return Rollout(score=0.0, fault=fault, failed="program", **shared)
        judged = self._metric.judge(example, prediction, trace)
        return Rollout(
            score=judged.score,
            feedback=ends(judged.feedback, _FEEDBACK_CHARS),
            fault=judged.fault,
            failed="metric" if judged.fault else "",
            notes=self._notes(example, prediction, trace, judged.feedback, [record.path for record in records]),
            answer=_fields(_outputs(prediction), _ANSWER_CHARS),
            **shared,
        )

    def _steps(self, program: dspy.Module, trace: Sequence[Any]) -> dict[str, str]:
        """What the plain predictors were given and gave."""
        names = {id(p): name for name, p in program.named_predictors() if name in self._components.predictors}
        steps: dict[str, list[str]] = {}
        for predictor, inputs, outputs in trace:
            if name := names.get(id(predictor)):
                told = f"Given:\n{_fields(inputs, _INPUT_CHARS)}\nGave:\n{_fields(_outputs(outputs), _INPUT_CHARS)}"
                steps.setdefault(name, []).append(told)
        return {name: ends("\n".join(told), _STEP_CHARS) for name, told in steps.items()}

    def _notes(self, example: Any, prediction: Any, trace: Any, feedback: str, ran: Iterable[str]) -> dict[str, str]:
        """What the metric says of one RLM or predictor alone, where it tells them apart."""
        owners = [o for o in self._components.owners if o in self._components.predictors or o in set(ran)]
        if len(self._components.owners) < 2:
            return {}
        for name_of in (lambda o: o if o in self._components.predictors else predictor_name(o), lambda o: o):
            said: dict[str, str] = {}
            for owner in owners:
                judged = self._metric.judge(example, prediction, trace, name_of(owner), [])
                if judged.fault is None:
                    said[owner] = judged.feedback
            if len(set(said.values())) > 1:
                return {owner: ends(text, _FEEDBACK_CHARS) for owner, text in said.items() if text != feedback}
        return {}


def side_by_side(jobs: Sequence[Callable[[], Rollout]], threads: int) -> list[Rollout]:
    """Runs jobs on threads with the caller's context; results are in the order of the jobs.

    What is interrupted leaves at once: jobs that have not begun never do.
    """
    if threads <= 1 or len(jobs) <= 1:
        return [job() for job in jobs]
    pool = ThreadPoolExecutor(min(threads, len(jobs)), "rlm-compile")
    try:
        futures = [pool.submit(contextvars.copy_context().run, job) for job in jobs]
        wait(futures, return_when=FIRST_EXCEPTION)
        return [future.result() for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _cost(runs: Sequence[Journal], records: Sequence[RunRecord]) -> float | None:
    costs = [record.diagnosis.cost_usd for record in records]
    return None if any(cost is None for cost in costs) else sum(cost for cost in costs if cost is not None)


def _outputs(prediction: Any) -> Mapping[str, Any]:
    if not isinstance(prediction, dspy.Prediction):
        return {"": prediction}
    return {name: value for name, value in prediction.items() if name not in ("trajectory", "final_reasoning")}


def _fields(values: Mapping[str, Any], chars: int) -> str:
    lines = [f"{name}: {_shown(value, chars)}" if name else _shown(value, chars) for name, value in values.items()]
    return ends("\n".join(lines), 3 * chars)


def _shown(value: Any, chars: int) -> str:
    try:
        return ends(value if isinstance(value, str) else repr(value), chars)
    except Exception:
        return f"a {type(value).__name__} that cannot be shown"


def _described(error: BaseException) -> str:
    try:
        return ends(f"{type(error).__name__}: {error}", _ERROR_CHARS)
    except Exception:
        return type(error).__name__
