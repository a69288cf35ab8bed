"""The record of a compile goes through JSON whole, and its front holds what no other candidate beats."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module import InputError
from rlm_module.optimizers import Candidate, Compilation, Dropped
from rlm_module.optimizers.lineage import non_dominated

_AMOUNTS = st.floats(0, 10)
_CANDIDATES = st.builds(
    Candidate,
    number=st.integers(0, 50),
    parents=st.lists(st.integers(0, 50), max_size=2).map(tuple),
    texts=st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=3),
    changed=st.lists(st.text(max_size=8), max_size=2).map(tuple),
    scores=st.dictionaries(st.integers(0, 30), _AMOUNTS, max_size=5),
    score=_AMOUNTS,
    cost_usd=st.none() | _AMOUNTS,
    seconds=_AMOUNTS,
)


@given(st.lists(_CANDIDATES, min_size=1, max_size=4), st.lists(st.text(max_size=20), max_size=2))
def test_it_comes_back_from_json_as_it_was(candidates: list[Candidate], faults: list[str]) -> None:
    record = Compilation(
        candidates=tuple(candidates),
        best=candidates[0].number,
        front=(candidates[0].number,),
        dropped=(Dropped("strategy", "text", tuple(faults)),),
        runs=3,
        reflections=2,
        cost_usd=None,
        reflection_cost_usd=0.5,
        stopped="plateau",
    )
    assert Compilation.from_json(json.loads(json.dumps(record.to_json()))) == record
    assert copy.deepcopy(record) == record


@pytest.mark.parametrize("state", [{}, {"candidates": 3}, {"candidates": [{}]}])
def test_something_else_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(InputError, match="no record of a compile"):
        Compilation.from_json(state)


def _candidate(number: int, score: float, cost: float | None, seconds: float) -> Candidate:
    return Candidate(number=number, texts={}, score=score, cost_usd=cost, seconds=seconds)


def test_the_front_holds_what_no_other_beats() -> None:
    best, cheap, fast = _candidate(0, 0.9, 2.0, 5.0), _candidate(1, 0.8, 1.0, 5.0), _candidate(2, 0.8, 2.0, 3.0)
    beaten, unpriced, twin = _candidate(3, 0.8, 2.0, 5.0), _candidate(4, 0.9, None, 5.0), _candidate(5, 0.9, 2.0, 5.0)
    assert non_dominated([best, cheap, fast, beaten, unpriced, twin]) == (0, 1, 2)


@given(st.lists(_CANDIDATES, min_size=1, max_size=8, unique_by=lambda candidate: candidate.number))
def test_the_front_is_never_empty_and_holds_the_best_score(candidates: list[Candidate]) -> None:
    front = set(non_dominated(candidates))
    best = max(candidate.score for candidate in candidates)
    assert any(candidate.number in front for candidate in candidates if candidate.score == best)
