"""Whose a recorded run is, and that it is deleted whole, or found again where the deleting was cut off."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import RLM, FatalError, InputError
from rlm_module.journal import RunFolder, run_folders
from rlm_module.memory.owned_runs import OwnedRuns, replies_in
from tests.journal.samples import lm_called, started, user
from tests.scripted import ScriptedLM, turn

ID = "k3x7q2ma"


def run(journal: Path, owner: str | None = None) -> Path:
    """A real run, marked by its owner if there is one."""
    before = set(run_folders(journal))
    with OwnedRuns(journal, owner).marked() if owner else nullcontext():
        RLM("q -> answer", journal=journal).forward(q="Which?")
    (made,) = set(run_folders(journal)) - before
    return made


def unmarked(journal: Path, name: str, *said: str) -> Path:
    """A record in which models said something."""
    folder = RunFolder.create(journal, name)
    folder.write(started(run_id=name))
    for text in said:
        folder.write(lm_called([user("Which?")], text, run_id=name))
    folder.close()
    return journal / name


def test_a_run_is_its_owners_who_is_not_named_in_it(tmp_path: Path) -> None:
    with dspy.context(lm=ScriptedLM(lambda _: turn("SUBMIT(answer='blue')"))):
        anns, others, nobodys = run(tmp_path, "ann@example"), run(tmp_path, "bob"), run(tmp_path)
    assert OwnedRuns(tmp_path, "ann@example").find([]) == [anns]
    assert OwnedRuns(tmp_path, "bob").find([]) == [others]
    assert not [path for path in anns.rglob("*") if path.is_file() and b"ann@example" in path.read_bytes()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in anns.iterdir() if path.is_file()} == {0o600}
    assert [text for text in replies_in(nobodys) if "blue" in text]


@pytest.mark.parametrize(
    ("said", "is_found"),
    [
        (f"turn {ID}.0", True),
        (f"first\n{ID}", True),
        (f'{{"text": "a\\n{ID}.3"}}', True),
        (f"x{ID}", False),
        (f"{ID}a", False),
        ("turn zzzzzzzz.0", False),
    ],
)
def test_of_runs_that_nobody_marked_those_are_a_users_that_name_their_sessions(
    tmp_path: Path, said: str, is_found: bool
) -> None:
    folder = unmarked(tmp_path, "r1", said)
    assert OwnedRuns(tmp_path, "ann").find([ID, "aaaaaaaa"]) == ([folder] if is_found else [])


def test_an_input_tells_whose_a_run_is_and_a_mark_is_believed_before_it(tmp_path: Path) -> None:
    kept = RunFolder.create(tmp_path, "r1")
    kept.write(started())
    kept.store_input(f"a history with {ID}.4")
    kept.close()
    assert OwnedRuns(tmp_path, "ann").find([ID]) == [kept.path]
    with dspy.context(lm=ScriptedLM(lambda _: turn(f"SUBMIT(answer='{ID}')"))):
        run(tmp_path, "bob")
    assert OwnedRuns(tmp_path, "ann").find([ID]) == [kept.path]


def test_nothing_else_in_the_folder_is_a_run(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "note").write_text(ID)
    (tmp_path / "note").write_text(ID)
    assert OwnedRuns(tmp_path, "ann").find([ID]) == []
    assert OwnedRuns(tmp_path / "nowhere", "ann").find([ID]) == OwnedRuns(None, "ann").find([ID]) == []


def test_a_deleted_run_is_gone_and_the_others_stay(tmp_path: Path) -> None:
    first, second = unmarked(tmp_path, "r1", ID), unmarked(tmp_path, "r2", "other")
    (first / "inputs" / "0").write_text("x")
    OwnedRuns(tmp_path, "ann").delete([first])
    assert list(tmp_path.iterdir()) == [second]


@pytest.mark.parametrize("removals", range(6))
def test_what_a_deletion_left_that_was_cut_off_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removals: int
) -> None:
    folder, runs, left = unmarked(tmp_path, "r1", ID), OwnedRuns(tmp_path, "ann"), [None] * removals
    (folder / "inputs" / "0").write_text(ID)

    def at_most(remove: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any, **options: Any) -> None:
            if not left:
                raise KeyboardInterrupt
            left.pop()
            remove(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("unlink", "rmdir"):
            patch.setattr(os, name, at_most(getattr(os, name)))
        with suppress(KeyboardInterrupt):
            runs.delete([folder])
    assert folder.exists() == (removals < 5)
    assert runs.find([]) == ([folder] if removals < 4 else [])  # the mark goes last, and leaves an empty folder
    runs.delete(runs.find([]))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_half_a_mark_is_none(tmp_path: Path) -> None:
    folder = unmarked(tmp_path, "r1", ID)
    (folder / "owner").write_text("12ab")
    assert OwnedRuns(tmp_path, "ann").find([ID]) == [folder]


def test_a_run_that_is_under_way_is_not_deleted(tmp_path: Path) -> None:
    folder = unmarked(tmp_path, "r1", ID)
    writing = RunFolder.reopen(folder)
    with pytest.raises(InputError, match=r"is being written by another process; wait until that run has ended"):
        OwnedRuns(tmp_path, "ann").delete([folder])
    writing.close()
    OwnedRuns(tmp_path, "ann").delete([folder])
    assert run_folders(tmp_path) == []


def test_a_run_that_cannot_be_deleted_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    folder = unmarked(tmp_path, "r1", ID)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refused)
        with pytest.raises(FatalError, match=r"r1 cannot be deleted \(Permission denied\); mend that and try again\.$"):
            OwnedRuns(tmp_path, "ann").delete([folder])
    assert OwnedRuns(tmp_path, "ann").find([]) == [folder]


def test_of_a_record_that_is_broken_no_replies_are_known(tmp_path: Path) -> None:
    folder = unmarked(tmp_path, "r1", "one")
    assert list(replies_in(folder)) == ["one"]
    (folder / "events.jsonl").write_text("{}\n{}\n")
    assert list(replies_in(folder)) == []


def test_what_a_link_leads_to_is_nobodys_run(tmp_path: Path) -> None:
    journal, elsewhere = tmp_path / "runs", tmp_path / "archive"
    kept = unmarked(elsewhere, "old", f"turn {ID}.0")
    own = unmarked(journal, "own", f"turn {ID}.0")
    (journal / "linked").symlink_to(kept)
    (journal / "latest").symlink_to(own)
    runs = OwnedRuns(journal, "ann")
    assert runs.find([ID]) == [own]
    runs.delete(runs.find([ID]))
    assert kept in run_folders(elsewhere)


def test_links_and_pipes_in_anybodys_run_are_passed_over(tmp_path: Path) -> None:
    folder = unmarked(tmp_path, "others", "nothing")
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe")
    assert OwnedRuns(tmp_path, "ann").find([ID]) == []


def test_an_id_is_found_after_letters_that_json_escapes(tmp_path: Path) -> None:
    found = unmarked(tmp_path, "r", f"\u4f1a\u8bdd{ID}")
    assert OwnedRuns(tmp_path, "ann").find([ID]) == [found]
