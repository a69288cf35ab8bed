"""What was paid for is found again, whatever became of the end of its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.optimizers.evolution.evaluations import Evaluations, Reflections


def test_runs_are_found_by_candidate_and_example(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    kept = Evaluations(path)
    kept.add("a", "x", {"score": 1.0, "cost_usd": 0.5})
    kept.add("b", "x", {"score": 0.0, "cost_usd": None})
    kept.add_cost(0.25)
    found = Evaluations(path)
    assert found.find("a", "x") == {"score": 1.0, "cost_usd": 0.5}
    assert found.find("a", "y") is None
    assert found.cost_usd == pytest.approx(0.75)
    assert Evaluations().find("a", "x") is None


def test_the_second_reply_to_a_request_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "reflections.jsonl"
    kept = Reflections(path)
    for reply in ("one", "two"):
        assert kept.find("same") is None
        kept.add("same", reply, 0.1)
    found = Reflections(path)
    replies: list[str] = []
    while (answer := found.find("same")) is not None:
        replies.append(answer[0])
        found.took("same")
    assert replies == ["one", "two"]
    assert found.asked("same") == 2
    assert found.cost_usd == pytest.approx(0.2)


@given(cut=st.integers(0, 400), text=st.text(max_size=20))
def test_a_torn_end_is_cut_off_and_what_is_added_then_is_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int, text: str
) -> None:
    path = tmp_path_factory.mktemp("torn") / "evaluations.jsonl"
    kept = Evaluations(path)
    for number in range(3):
        kept.add("a", str(number), {"text": text, "cost_usd": 0.0})
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    lines = whole[:cut].count(b"\n") if cut < len(whole) else 3
    Evaluations(path).add("b", "new", {"cost_usd": 0.0})
    found = Evaluations(path)
    assert [found.find("a", str(number)) is not None for number in range(3)] == [n < lines for n in range(3)]
    assert found.find("b", "new") is not None
