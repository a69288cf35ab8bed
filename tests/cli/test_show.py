"""`rlm show`: the tree of a run as lines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rlm_module.cli.main import rlm
from rlm_module.cli.show import drawn
from rlm_module.events import AnyEvent, Resumed, Scored, TurnStarted
from rlm_module.journal import RunFolder, build_tree
from tests.journal.samples import acted, call, cell, finished, lm_called, small_run, started, usage


def _show(journal: Path, *arguments: str) -> Result:
    return CliRunner().invoke(rlm, ["show", "--journal", str(journal), *arguments])


def _record(journal: Path, events: Iterable[AnyEvent]) -> None:
    folder = RunFolder.create(journal, "r1")
    for event in events:
        folder.write(event)
    folder.close()


_TREE = (
    started(),
    lm_called([], ""),
    acted(),
    *call(1, "rlm_query"),
    started(node=1, parent=0, task="Child", depth=1, at=2.0),
    lm_called([], "", role="child", node=1, usage=usage(90, 0.5)),
    acted(node=1, reasoning="Deeper."),
    cell(node=1),
    finished(node=1, seconds=1.0, reason="max_iters"),
    *call(2, "llm_query_batched"),
    *call(3, batch=2, error="timeout: slow"),
    *call(4, batch=2),
    cell(),
    TurnStarted(run_id="r1", turn=2, at=5.0),
    finished(),
    Resumed(run_id="r1", turns=1, at=10.0),
    finished(),
    Scored(run_id="r1", score=0.5),
)


def test_a_run_is_drawn_with_time_tokens_and_cost_of_each_node() -> None:
    head, *lines = drawn(build_tree(_TREE), full=False)
    assert head.startswith("run r1 · 19")
    assert head.endswith(" · resumed 1 × · score 0.5")
    assert lines == [
        "QA · submitted · 8.0 s · 100 tokens · $0.5100 · 10 tokens · $0.0100 of its own",
        "├─ turn 1 · Look first. · model 0.8 s · 10 tokens · $0.0100 · cell 0.3 s · 2 chars out",
        "├─ turn 2 · not answered",
        "├─ rlm_query × 1 · 0.1 s · 10 tokens · $0.0100",
        "├─ llm_query_batched × 1 · 2 items · 1 failed (timeout 1) · 0.1 s · 10 tokens · $0.0100",
        "└─ node 1 Child · max_iters · 1.0 s · 90 tokens · $0.5000",
        "   └─ turn 1 · Deeper. · model 0.8 s · 10 tokens · $0.0100 · cell 0.3 s · 2 chars out",
        "answer: 42",
    ]


def test_full_shows_code_and_output_of_each_turn() -> None:
    turn = acted(reasoning="One.\nTwo.", code="for x in y:\n    print(x)")
    lines = list(drawn(build_tree([started(), turn, cell(output="a\nb\n"), finished()]), full=True))
    assert lines[2:] == [
        "└─ turn 1 · model 0.8 s · 10 tokens · $0.0100 · cell 0.3 s · 2 chars out".replace("2 chars", "4 chars"),
        "     One.",
        "     Two.",
        "     > for x in y:",
        "     >     print(x)",
        "     | a",
        "     | b",
        "answer:",
        "  42",
    ]


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([acted(code="")], "no code"),
        ([acted()], "cell not finished"),
        ([acted(), cell(failed=True)], "cell 0.3 s (failed) · "),
        ([acted(), cell(failed=True, ended="interrupted")], "cell 0.3 s (failed, interrupted) · "),
        ([acted(), cell(ended="killed")], "cell 0.3 s, killed · "),
    ],
)
def test_how_a_turn_ended_is_told(events: list[AnyEvent], line: str) -> None:
    assert line in list(drawn(build_tree([started(), *events]), full=False))[2] + " · "


def test_a_run_that_was_cut_off_says_so() -> None:
    assert " · unfinished · " in list(drawn(build_tree(small_run()[:3]), full=False))[1]


def test_a_tree_may_be_deeper_than_pythons_stack() -> None:
    chain = [started(node=node, parent=node - 1) for node in range(1, 2000)]
    assert len(list(drawn(build_tree([started(), *chain]), full=False))) == 2001


def test_the_command_prints_the_tree(tmp_path: Path) -> None:
    _record(tmp_path, _TREE)
    result = _show(tmp_path, "r")
    assert (result.exit_code, result.stderr) == (0, "")
    head, asked, *lines = result.stdout.splitlines()
    assert [head, *lines] == list(drawn(build_tree(_TREE), full=False))
    assert asked == "q: str"
    assert "> print(1)" in _show(tmp_path, "--full", str(tmp_path / "r1")).stdout


@pytest.mark.parametrize("full", [[], ["--full"]])
def test_a_record_cannot_play_with_the_terminal(tmp_path: Path, full: list[str]) -> None:
    evil = "\x1b[2J\x9b1m\r\ud800 x"
    child = started(node=1, parent=0, task=evil)
    turn = acted(reasoning=evil, code=evil)
    _record(tmp_path, [started(task=evil), child, turn, *call(1, evil, evil), cell(output=evil),
                       finished(outputs={evil: evil})])  # fmt: skip
    result = _show(tmp_path, "r1", *full)
    assert result.exit_code == 0
    assert not {"\x1b", "\x9b", "\r"} & set(result.stdout)


def test_what_was_asked_is_cut_to_the_terminal_unless_all_is_to_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    _record(tmp_path, [started(instructions="Answer as a sailor would.")])
    assert _show(tmp_path, "r1").stdout.splitlines()[1] == "Answer as a sailor …"
    assert _show(tmp_path, "r1", "--full").stdout.splitlines()[1:3] == ["Answer as a sailor would.", "q: str"]


def test_a_run_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    result = _show(tmp_path, "zzz")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: 'zzz' is no run in ")
    assert len(result.stderr.splitlines()) == 1


def test_a_torn_last_line_is_told_beside_the_answer(tmp_path: Path) -> None:
    _record(tmp_path, small_run())
    with (tmp_path / "r1" / "events.jsonl").open("ab") as file:
        file.write(b'{"v": 1, "ta')
    assert _show(tmp_path, "r1").stdout.splitlines()[2].startswith("QA · submitted")
