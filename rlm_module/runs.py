"""What is left of a run: `Run`, the Prediction that carries it, and a way to see the runs of a whole program."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.dsp.utils.settings import main_thread_config

from rlm_module.events import AnyEvent, TerminationReason
from rlm_module.journal import Journal, Listener, Store
from rlm_module.lms.ledger import UsageReport
from rlm_module.places import named_modules
from rlm_module.signatures.task import tell_apart

# In dspy's settings rather than in a context variable of its own, because dspy.Parallel hands on only those.
_CAPTURES = "rlm_module_captures"


@dataclass(frozen=True, slots=True)
class Run:
    """How a run went.

    Args:
        run_id: Its id.
        path: Where its RLM stands in the program that called it.
        termination_reason: Why it ended.
        outputs: The answer; empty where there is none.
        trajectory: One dict a turn, with `reasoning`, `code` and `output` (as the model was shown it).
        final_reasoning: What the model said with its answer.
        usage: LM usage of the whole tree.
        seconds: Wall time.
        events: All that happened, in order.
    """

    run_id: str
    path: str
    termination_reason: TerminationReason
    outputs: Mapping[str, Any]
    trajectory: tuple[Mapping[str, str], ...]
    final_reasoning: str
    usage: UsageReport
    seconds: float
    events: tuple[AnyEvent, ...] = field(repr=False)

    @property
    def cost_usd(self) -> float | None:
        """What its LM calls cost in US dollars; None if the price of one is not known."""
        return self.usage.total.cost_usd


_METADATA = ("termination_reason", "usage", "cost_usd", "run_id")


class RunPrediction(dspy.Prediction):
    """The outputs, `trajectory` and `final_reasoning` as items, as dspy.RLM has them, and by attribute also
    `termination_reason`, `usage`, `cost_usd`, `run_id` and `run`. An output of such a name hides the attribute.
    """

    def __init__(self, base: Any = None, **fields: Any) -> None:
        super().__init__(base, **fields)
        self._run: Run | None = getattr(base, "_run", None)

    @classmethod
    def of(cls, run: Run) -> RunPrediction:
        """The prediction of a run that has an answer."""
        trajectory = [dict(turn) for turn in run.trajectory]
        prediction = cls({**run.outputs, "trajectory": trajectory, "final_reasoning": run.final_reasoning})
        prediction._run = run
        return prediction

    def __getattr__(self, key: str) -> Any:
        if key not in self.__dict__.get("_store", ()):
            run = self.__dict__.get("_run")
            if run is not None and key == "run":
                return run
            if run is not None and key in _METADATA:
                return getattr(run, key)
        if key.startswith("_"):
            raise AttributeError(key)
        return super().__getattr__(key)


@dataclass(frozen=True, slots=True)
class _Capture:
    runs: list[Journal]
    listener: Listener | None
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def capture_runs(on_event: Listener | None = None) -> Generator[list[Journal]]:
    """Collects every root run that begins inside it: also those of RLMs deep in a program, and those on threads that
    were given this context or that dspy started. Runs that a model started within a run belong to that run.

    Args:
        on_event: Called with each event as it happens, on the thread where it does.

    Yields:
        A list that grows by a journal (`run_id`, `path`, `events`) as each run begins.
    """
    runs: list[Journal] = []
    captures: tuple[_Capture, ...] = dspy.settings.get(_CAPTURES) or ()
    with dspy.context(**{_CAPTURES: (*captures, _Capture(runs, on_event))}):
        yield runs


class _Mark:
    """Ties a predictor's answer to the run that it was part of; copies keep it, pickle does not."""

    __slots__ = ("journal",)

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal

    def __deepcopy__(self, memo: Any) -> _Mark:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _Mark, ()


def mark_run(prediction: dspy.Prediction, journal: Journal) -> None:
    """Ties a predictor's answer to its run, where somebody traces: `dspy.settings.trace` was set for this context.

    The trace that dspy keeps by default is nobody's, and would hold the records of thousands of runs.
    """
    if _is_traced():
        prediction._run_mark = _Mark(journal)


def _is_traced() -> bool:
    return dspy.settings.trace is not main_thread_config.get("trace")


def traced_runs(trace: Iterable[Any]) -> list[Journal]:
    """The root runs that a trace of dspy's tells of, in order, which is how a metric comes by runs of a larger program.

    Args:
        trace: Triples of predictor, inputs and prediction, as `dspy.settings.trace` holds them within
            `dspy.context(trace=[])`.
    """
    marks = (getattr(step[2], "_run_mark", None) for step in trace if isinstance(step, tuple) and len(step) == 3)
    journals = (mark.journal for mark in marks if isinstance(mark, _Mark) and mark.journal is not None)
    return list({journal.run_id: journal for journal in journals}.values())


def open_journal(
    run_id: str,
    module: dspy.Module,
    *,
    store: Store | None = None,
    open_store: Callable[[], Store] | None = None,
    earlier: Iterable[AnyEvent] = (),
) -> Journal:
    """The journal of a run, known to those who capture runs here.

    Args:
        run_id: Its id.
        module: Its RLM.
        store: Keeps its events beyond the process; the journal closes it.
        open_store: Makes that of a new run.
        earlier: What happened before, in a run that is resumed.
    """
    captures: tuple[_Capture, ...] = dspy.settings.get(_CAPTURES) or ()
    listeners = tuple(capture.listener for capture in captures if capture.listener is not None)
    journal = Journal(run_id, _path(module), listeners, store, open_store, earlier)
    for capture in captures:
        with capture.lock:
            capture.runs.append(journal)
    return journal


def _path(module: dspy.Module) -> str:
    callers = [caller for caller in dspy.settings.caller_modules or [] if isinstance(caller, dspy.Module)]
    named = named_modules(callers[0]) if callers else iter(())
    if _is_traced():
        named = list(named)
        predictors = (found for _, found in named if isinstance(found, dspy.Predict))
        signatures: list[Any] = [getattr(predictor, "signature", None) for predictor in predictors]
        tell_apart([signature for signature in signatures if signature is not None])
    return next((name for name, found in named if found is module), "self")
