from __future__ import annotations

import threading

from rlm_module.budget import Ledger
from rlm_module.events import Usage


def test_what_fits_is_granted() -> None:
    ledger = Ledger(5)
    assert [ledger.reserve(3), ledger.reserve(3), ledger.reserve(1)] == [3, 2, 0]
    assert ledger.left == 0


def test_no_more_than_the_limit_is_granted_to_many_threads() -> None:
    ledger, granted = Ledger(500), list[int]()
    threads = [threading.Thread(target=lambda: granted.extend(ledger.reserve() for _ in range(100))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 500


def test_usage_is_split_by_role_and_model() -> None:
    ledger = Ledger(1)
    ledger.settle("root", {"big": Usage(1, 0, 10, 5, 0.5)})
    ledger.settle("sub", {"small": Usage(2, 1, 4, 2, 0.25), "big": Usage(1, 0, 1, 1, 0.25)})
    report = ledger.report()
    assert report.total == Usage(4, 1, 15, 8, 1.0)
    assert report.by_role == {"root": Usage(1, 0, 10, 5, 0.5), "sub": Usage(3, 1, 5, 3, 0.5)}
    assert report.by_model == {"big": Usage(2, 0, 11, 6, 0.75), "small": Usage(2, 1, 4, 2, 0.25)}


def test_an_unknown_price_makes_the_cost_unknown() -> None:
    ledger = Ledger(1)
    ledger.settle("sub", {"a": Usage(1, 0, 1, 1, None)})
    ledger.settle("sub", {"a": Usage(1, 0, 1, 1, 1.0)})
    assert ledger.report().total.cost_usd is None
