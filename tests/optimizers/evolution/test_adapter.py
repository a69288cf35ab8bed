"""What gepa is given, and how an end that it would only log comes out of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from rlm_module import InputError
from rlm_module.optimizers.evolution.adapter import RLMAdapter
from rlm_module.optimizers.evolution.options import Mark
from rlm_module.optimizers.evolution.pool import Pool
from rlm_module.optimizers.evolution.stopping import Allowance, Stopper
from tests.optimizers.evolution.trials import OPEN, SEED, SOLVED, Trials

CANDIDATE = {"first": SEED}


class _Gepa:
    """The calls that gepa makes for one proposal."""

    def __init__(self, trials: Trials, perfect: float = 1.0) -> None:
        self.stopper = Stopper(Allowance(None, None), 10)
        pool = cast("Pool", SimpleNamespace(step=trials.step(SEED)))
        self.adapter = RLMAdapter(trials.rollouts, pool, trials.search, Mark(perfect), self.stopper)

    def proposal(self) -> Any:
        batch = self.adapter.evaluate([OPEN, SOLVED], CANDIDATE, capture_traces=True)
        records = self.adapter.make_reflective_dataset(CANDIDATE, batch, ["first"])
        assert self.adapter.propose_new_texts is not None
        return self.adapter.propose_new_texts(CANDIDATE, records, ["first"])


def test_scores_answers_and_runs_are_in_order() -> None:
    batch = _Gepa(Trials({})).adapter.evaluate([OPEN, SOLVED], CANDIDATE)
    assert batch.scores == [0.0, 1.0]
    assert [run.score for run in batch.trajectories or []] == batch.scores


def test_a_proposal_is_what_the_search_found() -> None:
    gepa = _Gepa(Trials({"A.": 1.0}, {SEED: ["A."]}))
    assert gepa.proposal() == {"first": "A."}
    assert gepa.stopper.reason == ""


def test_one_that_cannot_be_paid_ends_the_compile() -> None:
    gepa = _Gepa(Trials({}, {SEED: ["A."]}, max_runs=2))
    assert gepa.proposal() == {}
    assert (gepa.stopper.reason, gepa.adapter.failure) == ("program runs", None)


def test_an_error_is_kept_as_gepa_would_only_log_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise error

    trials, error = Trials({}), InputError("There is no LM.")
    monkeypatch.setattr(trials.search, "texts", fail)
    gepa = _Gepa(trials)
    assert gepa.proposal() == {}
    assert (gepa.stopper.reason, gepa.adapter.failure) == ("error", error)


def test_only_the_first_runs_are_refused_for_beating_a_perfect_score() -> None:
    gepa = _Gepa(Trials({}), perfect=0.5)
    with pytest.raises(InputError, match="above perfect_score"):
        gepa.adapter.evaluate([SOLVED], CANDIDATE)
    assert not gepa.adapter.has_run
    gepa.adapter.evaluate([OPEN], CANDIDATE)
    assert gepa.adapter.evaluate([SOLVED], CANDIDATE).scores == [1.0]
