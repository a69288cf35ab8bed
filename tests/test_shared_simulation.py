"""Runs side by side, and other calls beside them, stay within what they share, and all books agree."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import dspy
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module import Budget
from rlm_module.errors import LimitReached
from rlm_module.events import Usage
from rlm_module.lms.accounts import Account
from rlm_module.lms.books import Conversations, Twins
from rlm_module.lms.ledger import Ledger, Need
from tests.stage import Stage, StagedLedger
from tests.test_tree_simulation import Case, Simulation, assert_equal, assert_within, cases

_LONGEST_REPLY = 100


@dataclass(frozen=True)
class Program:
    """Runs under one budget, and other calls beside them.

    Args:
        runs: Those that share it; the first half of them under a budget within it, too.
        inner: That one.
        outer: The budget of all.
        others: For each thread of other calls, how long their prompts are in words.
        stopped: Which runs end while their calls are under way, and after how many of them.
        kept: Tokens that each run keeps for its answer.
        seed: Decides who answers first.
    """

    runs: tuple[Case, ...]
    inner: Budget
    outer: Budget
    others: tuple[tuple[int, ...], ...]
    stopped: tuple[tuple[int, int], ...]
    kept: int
    seed: int


@st.composite
def programs(draw: st.DrawFn) -> Program:
    runs = draw(st.lists(cases(), min_size=1, max_size=4))
    unlimited = [draw(st.booleans()) for _ in runs]
    runs = [
        replace(case, budget=Budget(prices=case.budget.prices)) if is_free else case
        for case, is_free in zip(runs, unlimited, strict=True)
    ]
    words = st.lists(st.integers(1, 200), min_size=1, max_size=3).map(tuple)
    return Program(
        runs=tuple(replace(case, workers=case.workers[:16]) for case in runs),
        inner=draw(cases()).budget,
        outer=draw(cases()).budget,
        others=tuple(draw(st.lists(words, max_size=8))),
        stopped=tuple(draw(st.lists(st.tuples(st.integers(0, len(runs) - 1), st.integers(1, 8)), max_size=2))),
        kept=draw(st.integers(0, 5_000)),
        seed=draw(st.integers(0, 2**32)),
    )


class _Playing:
    """A program as it is played."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.stage = Stage(program.seed)
        self.outer = self._ledger(program.outer)
        self.inner = self._ledger(program.inner, self.outer)
        half = (len(program.runs) + 1) // 2
        self.runs = [
            Simulation(case, self.stage, self.inner if number < half else self.outer)
            for number, case in enumerate(program.runs)
        ]
        self.others = Usage()

    def play(self) -> None:
        for run in self.runs:
            run.ledger.keep(Need(self.program.kept, self.program.kept / 1e6))
        parts: list[Callable[[], None]] = [part for run in self.runs for part in run.parts]
        parts += [partial(self._conclude, run) for run in self.runs]
        parts += [partial(self._ask, words) for words in self.program.others]
        parts += [partial(self._stop, number, calls) for number, calls in self.program.stopped]
        random.Random(self.program.seed).shuffle(parts)
        self.stage.play(parts)
        for run in self.runs:
            run.tree.close()

    def _ledger(self, budget: Budget, parent: Ledger | None = None) -> StagedLedger:
        ledger = StagedLedger(0, budget, parent)
        ledger.stage = self.stage
        return ledger

    def _ask(self, words: tuple[int, ...]) -> None:
        """Calls that belong to no run."""
        account = Account(ledger=self.outer, journal=None, twins=Twins(), conversations=Conversations(), role="other")
        lm = account.lm(self.runs[0].lms["sim/small"])
        for count in words:
            with suppress(LimitReached, dspy.LMError):
                lm("word " * count)

    def _conclude(self, run: Simulation) -> None:
        """Draws up a run's answer."""
        account = run.tree.account("extract", run.nodes[0])
        with suppress(LimitReached, dspy.LMError), account.scope():
            account.lm(run.lms["sim/large"])("word " * 100)

    def _stop(self, number: int, calls: int) -> None:
        """Ends a run after some calls to an LM that nobody pays for."""
        for _ in range(calls):
            with self.stage.inside():
                pass
        self.runs[number].ledger.close()


@settings(max_examples=150)
@given(programs())
def test_runs_side_by_side_stay_within_what_they_share_and_all_books_agree(program: Program) -> None:
    playing = _Playing(program)
    playing.play()
    outer, inner = playing.outer.report(), playing.inner.report()
    assert not playing.stage.is_stuck
    assert_within(program.outer, outer.total)
    assert_within(program.inner, inner.total)
    totals = [run.ledger.report().total for run in playing.runs]
    for run, total in zip(playing.runs, totals, strict=True):
        assert_within(run.case.budget, total)
    half = (len(totals) + 1) // 2
    assert_equal(inner.total, sum(totals[:half], Usage()))
    assert_equal(outer.total, sum(totals, outer.by_role.get("other", Usage())))
    # Nothing is held or kept, and nobody waits.
    for ledger in (playing.outer, playing.inner, *(run.ledger for run in playing.runs)):
        spent = ledger.report().total
        assert ledger.limits.tokens is None or ledger.own.tokens_left == ledger.limits.tokens - spent.tokens
        assert ledger.own.held == []
