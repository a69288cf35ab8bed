"""`rlm diff`: what was learned is compared, and a file that is none is one sentence."""

from __future__ import annotations

from pathlib import Path

import dspy
import pytest
from click.testing import CliRunner, Result
from dspy.signatures import make_signature

from rlm_module import RLM
from rlm_module.cli.main import rlm
from rlm_module.optimizers import save_compiled
from tests.optimizers.samples import PROVENANCE

_FIELDS = ("request", "reasoning", "code")


class _Program(dspy.Module):
    def __init__(self, strategy: str, question: str = "Ask.") -> None:
        super().__init__()
        self.reader = RLM("q -> answer")
        self.reader.generate_action.signature = self.reader.generate_action.signature.with_instructions(strategy)
        self.asker = dspy.Predict(make_signature("q -> search", question))


def _diff(*paths: Path) -> Result:
    return CliRunner().invoke(rlm, ["diff", *map(str, paths)])


def test_scores_stand_on_top_and_changed_lines_below(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    _Program("Look.\nSearch.").save(old)
    learned = _Program("Look.\nSearch twice.", "Ask again.")
    learned.reader.wording.tools["lookup"] = "Exact words."
    learned.reader.generate_action.demos = [{"request": "r", "reasoning": "s", "code": "t"}]
    save_compiled(learned, new, PROVENANCE)
    result = _diff(old, new)
    assert result.exit_code == 0, result.stderr
    first, second, *lines = result.stdout.splitlines()
    assert first.endswith("no record of how it was compiled")
    assert second.endswith(
        "gepa · validation 0.75 at $0.01 a run · held out 0.5 · 150 program runs · compiled for $1.25"
    )
    assert {"-Search.", "+Search twice.", " Look.", "-Ask.", "+Ask again.", "+Exact words."} <= set(lines)
    assert "+    code: t" in lines


def test_demonstrations_are_shown_with_their_code_as_code(tmp_path: Path) -> None:
    old, new, learned = tmp_path / "old.json", tmp_path / "new.json", _Program("Look.")
    learned.save(old)
    turns = [{"request": "a", "reasoning": "b", "code": 'for x in "ab":\n    print(x)'}, dict.fromkeys(_FIELDS, "c")]
    learned.reader.generate_action.demos = [{"turns": turns}]
    learned.asker.demos = [{"q": "ä", "search": ["x", 1]}]
    learned.save(new)
    first, second = _diff(old, new).stdout.split("@@ -0,0 +1,")[1:]
    assert first.splitlines()[1:-2] == [
        "+demo 1",
        "+  turn 1",
        "+    request: a",
        "+    reasoning: b",
        "+    code:",
        '+      for x in "ab":',
        "+          print(x)",
        "+  turn 2",
        *(f"+    {name}: c" for name in _FIELDS),
    ]
    assert second.splitlines()[1:] == ["+demo 1", "+  q: ä", '+  search: ["x", 1]']


def test_two_that_learned_the_same_are_told_so(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        _Program("Look.").save(tmp_path / name)
    assert "Both have learned the same." in _diff(tmp_path / "a.json", tmp_path / "b.json").stdout


@pytest.mark.parametrize(("text", "told"), [(None, "cannot be read"), ("[]", "is no program")])
def test_a_file_that_is_none_is_bad_input(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    result = _diff(path, path)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""
