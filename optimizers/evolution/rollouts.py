"""Program runs: each candidate on each example at most once, side by side, as far as they can be paid."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import dspy

from rlm_module.optimizers.evolution.cases import Case, digest
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.evaluations import Evaluations
from rlm_module.optimizers.evolution.stopping import Allowance, Exhausted
from rlm_module.optimizers.threads import each_done
from rlm_module.optimizers.trajectories.records import RunRecord

logger = logging.getLogger(__name__)

BROKE = "money"
"""How a run failed that ended for want of the compile's money."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A run of the program on an example.

    Args:
        score: The metric's; 0 where there is none.
        feedback: The metric's words.
        fault: One sentence where the program or the metric failed.
        failed: What failed: "program", "metric", or "money" where the compile had too little left; empty for nothing.
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
        records = tuple(RunRecord.from_json(record) for record in state["records"])
        plain: dict[str, Any] = {name: value for name, value in state.items() if name != "records"}
        return cls(records=records, **plain)

    def of(self, owner: str) -> list[RunRecord]:
        """The runs of one RLM."""
        return [record for record in self.records if record.path == owner]


class Rollouts:
    """Runs candidates on examples, each pair once.

    Args:
        student: The program, of which copies are run.
        components: Its texts.
        run: Runs one copy on one example.
        allowance: Out of which runs are paid.
        evaluations: Where they are kept.
        threads: Runs at once; None for `dspy.settings.num_threads`.
        on_run: Called after each run.
    """

    def __init__(
        self,
        student: dspy.Module,
        components: Components,
        run: Callable[[dspy.Module, dspy.Example], Rollout],
        allowance: Allowance,
        evaluations: Evaluations,
        threads: int | None = 1,
        on_run: Callable[[Rollout], None] = lambda rollout: None,
    ) -> None:
        self._student = student
        self._components = components
        self._runner = run
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
            earlier = _read(self._evaluations.find(candidate, case.key))
            if earlier is None:
                live.append(case)
            else:
                self._book(done, case, earlier)
        is_broke = False
        if live:
            program = self._components.copy_with(self._student, texts)
            for case, rollout in each_done(
                lambda case: (case, self._run(program, candidate, case)), live, self._threads
            ):
                self._book(done, case, rollout)
                is_broke |= rollout.failed == BROKE
        if is_broke:
            raise Exhausted("money")
        return [done[case.key] for case in cases]

    def score(self, texts: Mapping[str, str], case: Case) -> float:
        """What a candidate scores on one example; raises as `run` does."""
        return self.run(texts, [case])[0].score

    def _book(self, done: dict[str, Rollout], case: Case, rollout: Rollout) -> None:
        if rollout.failed != BROKE:
            done[case.key] = rollout
        self._allowance.book_run(rollout.cost_usd)
        self._on_run(rollout)

    def _run(self, program: dspy.Module, candidate: str, case: Case) -> Rollout:
        rollout = self._runner(program, case.example)
        if rollout.failed == BROKE:  # which says nothing of the candidate
            self._evaluations.add_cost(rollout.cost_usd)
        else:
            self._evaluations.add(candidate, case.key, rollout.to_json())
        return rollout


def _read(state: Mapping[str, Any] | None) -> Rollout | None:
    """A run out of the journal; None where there is none, or it is damaged."""
    if state is None:
        return None
    try:
        rollout = Rollout.from_json(state)
        return replace(rollout, score=float(rollout.score))
    except (KeyError, TypeError, ValueError, AttributeError):
        logger.warning("A run in the journal cannot be read; it is made again.")
        return None
