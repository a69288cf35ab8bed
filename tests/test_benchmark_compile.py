"""How compiles are judged: exit status, and one line that names each miss. Nothing is compiled here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import compile as benchmark
from benchmarks.compiling.arms import ARMS, CAP, Outcome
from benchmarks.compiling.figures import Results, runs_to_enough, verdict
from benchmarks.compiling.pair import Credit
from benchmarks.compiling.recording import Cost


def outcome(arm: str, **values: Any) -> Outcome:
    given: dict[str, Any] = {"pieces": 12, "harms": 0, "held_out": 1.0, "to_enough": 60, "runs": 100, "refused": 0}
    given |= {"seed": 0, "reflections": 9, "seconds": 1.0, **values}
    return Outcome(arm=arm, **given)


def results() -> Results:
    values: dict[str, dict[str, Any]] = {
        **{name: {} for name in ARMS},
        "gepa": {"to_enough": None},
        "ours-blank": {"pieces": 0},
        "gepa-blank": {"pieces": 1},
    }
    outcomes = {name: [outcome(name, **given)] * 3 for name, given in values.items()}
    credits = [Credit("reader", 20, 2, 0), Credit("writer", 1, 20, 0), Credit("both", 20, 15, 0)]
    costs = [Cost(turns, (turns * 1e-4,), (0.0,)) for turns in (10, 30, 100)]
    return Results(outcomes, credits, credits, costs)


def test_all_reached_is_exit_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    made = results()
    assert benchmark.main([], lambda names, seeds, processes: made) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"all {len(made.figures())} figures reached"
    assert [line for line in lines if "MISS" in line] == []


@pytest.mark.parametrize(
    ("arm", "values", "told"),
    [
        ("ours", {"pieces": 10}, "RLMGEPA: pieces, median is 10, must be ≥ 11"),
        ("ours", {"refused": 1}, "RLMGEPA: runs refused is 3, must be 0"),
        ("ours-told", {"pieces": 8}, "RLMGEPA, trajectory_feedback: pieces, fewest is 8, must be ≥ 9"),
        (
            "ours",
            {"to_enough": 106},
            "RLMGEPA: runs to 10 pieces, median is 106, must be ≤ 0.7 × dspy.GEPA on RLM",
        ),
        ("ours-blank", {"pieces": 2}, "RLMGEPA, records blanked: most pieces is 2, must be ≤ 1"),
        ("gepa-long", {"pieces": 9}, "dspy.GEPA on RLM, 600 runs: fewest pieces is 9, must be ≥ 10"),
    ],
)
def test_a_miss_of_an_arm_is_named(arm: str, values: Any, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    good = results()
    missed = replace(good, outcomes={**good.outcomes, arm: [outcome(arm, **values)] * 3})
    assert benchmark.main([], lambda names, seeds, processes: missed) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("miss: ")
    assert told in lines[-1]
    assert sum(line.startswith("miss:") for line in lines) == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"credits": [Credit("reader", 31, 9, 0)]}, "proposals to the one at fault is 78% of 40"),
        ({"credits": [Credit("writer", 0, 39, 0)]}, "proposals to the one at fault is 100% of 39"),
        ({"credits": [Credit("both", 34, 66, 0)]}, "proposals to each, both at fault is 34% and 66% of 100"),
        ({"costs": [Cost(10, (0.011,), (0.0,))]}, "recording a turn of 10 is 1.100 ms, must be ≤ 1 ms"),
        ({"costs": [Cost(10, (1e-3,), ()), Cost(100, (16e-3,), ())]}, "recording 100 turns beside 10 is 16.0 ×"),
        ({"faults": ["ours could not be measured (no)"]}, "ours could not be measured (no)"),
    ],
)
def test_other_misses_are_named(changed: Any, told: str) -> None:
    assert told in verdict(replace(results(), **changed))


def test_what_was_not_chosen_is_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []

    def measure(names: Sequence[str], seeds: int, processes: int) -> Results:
        asked.append((names, seeds, processes))
        return Results({"ours": [outcome("ours")]})

    assert benchmark.main(["--only", "ours", "--seeds", "2", "--processes", "1"], measure) == 0
    assert asked == [(["ours"], 2, 1)]
    assert "blanked: most" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        benchmark.main(["--only", "nothing"], measure)
    with pytest.raises(SystemExit):
        benchmark.main(["--seeds", "0"], measure)


def test_an_arm_that_never_reaches_ten_counts_as_the_cap() -> None:
    assert [runs_to_enough(outcome("gepa-long", to_enough=n)) for n in (None, 40, 400)] == [CAP, 40, CAP]
