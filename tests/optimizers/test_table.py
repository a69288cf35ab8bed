from __future__ import annotations

from types import SimpleNamespace

from tests.optimizers.table import cells, lines


def _report(test: str) -> SimpleNamespace:
    return SimpleNamespace(nodeid=f"tests/optimizers/test_stock.py::{test}")


def test_what_passed_is_yes_what_failed_is_no_and_what_did_not_run_is_neither() -> None:
    found = cells(
        {
            "passed": [_report("test_runs[GEPA-one RLM]"), _report("test_something_else"), object()],
            "failed": [_report("test_demos_render[GEPA-one RLM]")],
        }
    )
    assert [line.split() for line in lines(found)][1] == ["GEPA,", "one", "RLM", "yes", "-", "-", "NO"]


def test_without_them_there_is_no_table() -> None:
    assert cells({"passed": [SimpleNamespace(nodeid="tests/test_module.py::test_runs")]}) == {}
