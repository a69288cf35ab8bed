"""How the benchmark of memory judges: exit status, and one line that names each miss; a small store is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import memory
from benchmarks.chats import QUESTION_WORDS, TURN_CHARS, Chats
from benchmarks.figures import Aim, Figure
from benchmarks.measure import Say
from benchmarks.rows import store
from benchmarks.rows.store import Scale

FAST = Aim("fast", "how fast", "turns/s", least=20_000)
SMALL = Aim("small", "how large", "×", most=2.0)


def measured(*figures: Figure) -> memory.Measured:
    def measure(folder: Path, scale: Scale, say: Say) -> Iterator[Figure]:
        assert folder.is_dir()
        yield from figures

    return measure


def test_all_reached_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert memory.main([], measured(Figure(FAST, 20_000), Figure(SMALL, 2.0))) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "all 2 figures reached"


def test_a_miss_exits_with_1_and_one_line_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    figures = (Figure(FAST, 19_999), Figure(SMALL, 2.01), Figure(SMALL, None, "no disk"))
    assert memory.main(["--json", str(file)], measured(*figures)) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        "miss: fast is 19,999 turns/s, must be ≥ 20,000 turns/s; small is 2.01 ×, must be ≤ 2 ×; "
        "small could not be measured (no disk)"
    )
    assert json.loads(file.read_text())["fast"] == {"value": 19_999, "reached": False}


def test_chats_are_the_same_for_a_seed_and_questions_stem_from_a_turn() -> None:
    one, other = Chats(1), Chats(1)
    sessions = one.sessions(5, 3)
    assert sessions == other.sessions(5, 3)
    assert {len(turn["text"]) for session in sessions for turn in session["turns"]} == {TURN_CHARS}
    planted = one.plant("ann", sessions)
    text = next(session for session in sessions if session["id"] == planted.session)["turns"][planted.position]["text"]
    words = planted.question.split()
    assert len(words) == QUESTION_WORDS
    assert len(set(words) & set(text.split())) >= 3


def test_every_aim_is_measured(tmp_path: Path) -> None:
    scale = Scale(turns=2_000, users=2, questions=5, compared=5, seconds=0.5)
    found = list(store.figures(tmp_path, scale, lambda _: None))
    assert sorted(figure.aim.name for figure in found) == sorted(aim.name for aim in store.AIMS)
    assert all(figure.value is not None for figure in found)
