from __future__ import annotations

import threading

from rlm_module.lms.allowance import Allowance


def test_what_fits_is_granted() -> None:
    allowance = Allowance(5)
    assert [allowance.reserve(3), allowance.reserve(3), allowance.reserve(1)] == [3, 2, 0]
    assert allowance.left == 0


def test_a_childs_allowance_is_part_of_its_parents() -> None:
    parent = Allowance(5)
    child = Allowance(3, parent)
    assert [child.reserve(2), parent.reserve(2), child.reserve(2)] == [2, 2, 1]
    assert (child.left, parent.left) == (0, 0)


def test_what_is_given_back_can_be_had_again_from_both() -> None:
    parent = Allowance(3)
    child = Allowance(2, parent)
    child.reserve(2)
    child.give_back()
    assert (child.left, parent.left) == (1, 2)


def test_no_more_than_the_limit_is_granted_to_many_threads() -> None:
    allowance, granted = Allowance(500), list[int]()
    threads = [
        threading.Thread(target=lambda: granted.extend(allowance.reserve() for _ in range(100))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 500
