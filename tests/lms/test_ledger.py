from __future__ import annotations

from concurrent.futures import Future

import pytest

from rlm_module.budget import Budget
from rlm_module.errors import LimitReached
from rlm_module.events import Usage
from rlm_module.lms.ledger import Hold, Ledger, Need, UsageReport


def _limit(refused: Future[Hold]) -> str:
    error = refused.exception(0)
    assert isinstance(error, LimitReached)
    return error.limit


def test_usage_is_split_by_role_model_and_depth() -> None:
    ledger = Ledger(1)
    ledger.settle("root", {"big": Usage(1, 0, 10, 5, 0.5)})
    ledger.settle("sub", {"small": Usage(2, 1, 4, 2, 0.25), "big": Usage(1, 0, 1, 1, 0.25)}, depth=1)
    report = ledger.report()
    assert report.total == Usage(4, 1, 15, 8, 1.0)
    assert report.by_role == {"root": Usage(1, 0, 10, 5, 0.5), "sub": Usage(3, 1, 5, 3, 0.5)}
    assert report.by_model == {"big": Usage(2, 0, 11, 6, 0.75), "small": Usage(2, 1, 4, 2, 0.25)}
    assert report.by_depth == {0: Usage(1, 0, 10, 5, 0.5), 1: Usage(3, 1, 5, 3, 0.5)}


def test_calls_that_have_not_ended_are_counted_apart() -> None:
    ledger = Ledger(1, Budget(tokens=100))
    first, second, _ = ledger.admit(Need(40)), ledger.admit(Need(40)), ledger.admit(Need(40))
    assert ledger.report() == UsageReport(in_flight=2)
    ledger.settle("sub", {"m": Usage(1, 0, 10, 30)}, hold=first.result(0))
    ledger.give_back(second.result(0))
    assert (ledger.report().total.calls, ledger.report().in_flight) == (1, 1)  # now the third one has begun


def test_an_unknown_price_makes_the_cost_unknown() -> None:
    ledger = Ledger(1)
    ledger.settle("sub", {"a": Usage(1, 0, 1, 1, None)})
    ledger.settle("sub", {"a": Usage(1, 0, 1, 1, 1.0)})
    assert ledger.report().total.cost_usd is None


def test_without_a_budget_every_call_is_admitted() -> None:
    ledger = Ledger(0)
    assert ledger.admit(Need(10**9, 1e9)).result(0)
    assert (ledger.tokens_left, ledger.cost_left) == (None, None)


def test_a_call_that_does_not_fit_waits_for_what_others_give_back() -> None:
    ledger = Ledger(0, Budget(tokens=100))
    first, second = ledger.admit(Need(60)), ledger.admit(Need(60))
    assert first.done()
    assert not second.done()
    ledger.settle("sub", {"m": Usage(1, 0, 10, 10)}, hold=first.result(0))
    assert second.result(0).tokens == 60
    assert ledger.tokens_left == 20


def test_it_is_refused_once_nothing_is_held_that_could_be_given_back() -> None:
    ledger = Ledger(0, Budget(tokens=100))
    first, second = ledger.admit(Need(60)), ledger.admit(Need(60))
    ledger.settle("sub", {"m": Usage(1, 0, 40, 20)}, hold=first.result(0))
    assert _limit(second) == "tokens"
    assert _limit(ledger.admit(Need(41))) == "tokens"
    assert ledger.admit(Need(40)).result(0)


def test_money_is_exact_to_the_last_call() -> None:
    ledger = Ledger(0, Budget(cost_usd=1.0))
    for _ in range(10):
        hold = ledger.admit(Need(1, 0.1)).result(0)
        ledger.settle("sub", {"m": Usage(1, 0, 1, 0, 0.1)}, hold=hold)
    assert ledger.cost_left == 0.0
    assert _limit(ledger.admit(Need(1, 1e-9))) == "cost"


def test_a_slice_is_kept_that_only_the_final_call_may_use() -> None:
    ledger = Ledger(0, Budget(tokens=1000))
    ledger.keep(Need(150))
    assert _limit(ledger.admit(Need(900))) == "tokens"
    assert ledger.tokens_left == 850
    assert ledger.admit(Need(900), is_final=True).result(0)


def test_the_slice_is_at_most_a_third() -> None:
    ledger = Ledger(0, Budget(tokens=1000))
    ledger.keep(Need(900))
    assert ledger.tokens_left == 667


def test_a_waiting_call_that_is_cancelled_holds_up_nobody() -> None:
    ledger = Ledger(0, Budget(tokens=100))
    first, second, third = ledger.admit(Need(60)), ledger.admit(Need(80)), ledger.admit(Need(40))
    second.cancel()
    ledger.settle("sub", {}, hold=first.result(0))
    assert third.result(0).tokens == 40


@pytest.mark.parametrize("waiting", [1, 5])
def test_those_that_wait_are_served_in_order(waiting: int) -> None:
    ledger = Ledger(0, Budget(tokens=10))
    holds = [ledger.admit(Need(10)) for _ in range(waiting + 1)]
    for number, hold in enumerate(holds):
        assert [future.done() for future in holds] == [index <= number for index in range(waiting + 1)]
        ledger.settle("sub", {}, hold=hold.result(0))
