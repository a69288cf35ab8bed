"""What comes back for a question: an answer with its turns, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import dspy

from rlm_module import Run, UsageReport
from rlm_module.errors import FatalError, InputError, LimitReached, SandboxError, causes
from rlm_module.memory.data import Turn

AbstainReason: TypeAlias = Literal["no_evidence", "unsupported", "budget"]


class MemoryPrediction(dspy.Prediction):
    """`answer`, `evidence` (ids of turns), `turns` (those turns), `abstained`, `reason` and `note` as items.

    By attribute also `run` (that of the RLM; None where there was none), `usage` (a `UsageReport`) and `cost_usd` (None
    where a price is not known), of the run and of all around it.
    """

    def __init__(self, base: Any = None, **fields: Any) -> None:
        super().__init__(base, **fields)
        self._run: Run | None = getattr(base, "_run", None)
        self._spent: UsageReport = getattr(base, "_spent", UsageReport())

    @classmethod
    def of(cls, run: Run | None, **fields: Any) -> MemoryPrediction:
        """One with the run that found it."""
        made = cls(**fields)
        made._run = run
        return made

    def after(self, spent: UsageReport) -> MemoryPrediction:
        """The same with what it took."""
        self._spent = spent
        return self

    @property
    def run(self) -> Run | None:
        return self._run

    @property
    def usage(self) -> UsageReport:
        return self._spent

    @property
    def cost_usd(self) -> float | None:
        return self.usage.total.cost_usd


def answered(answer: str, turns: Sequence[Turn], run: Run | None = None) -> MemoryPrediction:
    """The prediction of an answer and the turns that bear it out."""
    return _prediction(run, answer=answer, turns=turns)


def abstained(reason: AbstainReason, note: str = "", run: Run | None = None) -> MemoryPrediction:
    """The prediction of no answer."""
    return _prediction(run, reason=reason, note=note)


def after_failure(error: FatalError) -> MemoryPrediction:
    """That of a run that ended without an answer, though it had begun to look.

    Raises:
        FatalError: If nobody asked the memory anything, or the fault is not the run's.
    """
    if isinstance(error, (InputError, SandboxError)):
        raise error
    run = error.partial if isinstance(error.partial, Run) else None
    if any(isinstance(cause, LimitReached) for cause in causes(error)):
        return abstained("budget", str(error), run)
    if run is None or not run.trajectory:
        raise error
    return abstained("no_evidence", str(error), run)


def _prediction(
    run: Run | None,
    *,
    answer: str | None = None,
    turns: Sequence[Turn] = (),
    reason: AbstainReason | None = None,
    note: str = "",
) -> MemoryPrediction:
    evidence = [turn.id for turn in turns]
    abstains = answer is None
    return MemoryPrediction.of(
        run, answer=answer, evidence=evidence, turns=list(turns), abstained=abstains, reason=reason, note=note
    )
