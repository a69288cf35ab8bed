"""A compile that was cut off goes on from its folder, pays nothing twice, and ends as it would have."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import threading
from pathlib import Path
from typing import Any

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_module import InputError
from rlm_module.optimizers import RLMGEPA, Compilation
from rlm_module.optimizers.evolution.folder import opened
from tests.optimizers.hidden_advice import World

RUNS = 70


def _compile(world: World, folder: Path, **options: Any) -> Any:
    options = {"max_runs": RUNS, "num_threads": 1, "seed": 1, "show_progress": False, **options}
    optimizer = RLMGEPA(world.metric, reflection_lm=world.reflect, run_dir=folder, **options)
    return optimizer.compile(world.program(), trainset=world.train, valset=world.val)


def _comparable(record: Compilation) -> Any:
    return [(one.texts, one.scores, one.parents) for one in record.candidates], record.best, record.runs, record.stopped


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Compilation]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, _compile(World(1), folder).compilation


def test_a_finished_compile_is_paid_for_once(whole: tuple[Path, Compilation]) -> None:
    folder, record = whole
    world = World(1)
    again = _compile(world, folder).compilation
    assert (world.runs, world.reflections) == (0, 0)
    assert _comparable(again) == _comparable(record)


@settings(max_examples=15)
@given(share=st.floats(0, 1), torn=st.integers(0, 300))
def test_one_killed_anywhere_ends_as_it_would_have(
    tmp_path_factory: pytest.TempPathFactory, whole: tuple[Path, Compilation], share: float, torn: int
) -> None:
    folder, record = whole
    killed = tmp_path_factory.mktemp("killed")
    shutil.copytree(folder, killed, dirs_exist_ok=True)
    (killed / "compilation.json").unlink()
    # Both files are written in the order of the work; a kill leaves a beginning of each, and maybe half a line.
    runs, replies = (
        (killed / name).read_bytes().splitlines(True) for name in ("evaluations.jsonl", "reflections.jsonl")
    )
    kept = int(share * len(runs))
    (killed / "evaluations.jsonl").write_bytes(
        b"".join(runs[:kept]) + b"".join(runs[kept : kept + 1])[:torn].rstrip(b"\n")
    )
    world = World(1)
    # The model goes on with its chances where it stood, as one that knows no chance would.
    again = _compile(world, killed).compilation
    assert _comparable(again) == _comparable(record)
    assert world.runs <= len(runs) - kept
    assert world.reflections == 0
    assert len(replies) == record.reflections


def test_replies_are_not_paid_for_twice_either(whole: tuple[Path, Compilation], tmp_path: Path) -> None:
    folder, record = whole
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    replies = (tmp_path / "reflections.jsonl").read_text().splitlines(True)
    (tmp_path / "reflections.jsonl").write_text("".join(replies[:3]) + replies[3][:20])
    world = World(1)
    again = _compile(world, tmp_path).compilation
    assert again.reflections - world.reflections == 3
    assert again.runs <= RUNS
    assert record.reflections >= 3


def test_only_the_owner_may_read_it(whole: tuple[Path, Compilation]) -> None:
    for file in whole[0].iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_nothing_in_it_is_pickled(whole: tuple[Path, Compilation]) -> None:
    texts = {file.name: file.read_text(encoding="utf-8") for file in whole[0].iterdir()}
    assert texts.pop("lock") == ""
    values = [texts.pop("manifest.json"), texts.pop("compilation.json")]
    values += [line for name in ("evaluations.jsonl", "reflections.jsonl") for line in texts.pop(name).splitlines()]
    assert {type(json.loads(value)) for value in values} == {dict}
    assert not texts


def test_more_runs_go_on_from_the_end_of_fewer(tmp_path: Path) -> None:
    world = World(2, harm=0.0)
    few = _compile(world, tmp_path, max_runs=40).compilation
    paid = world.runs
    more = _compile(world, tmp_path, max_runs=120).compilation
    assert paid < world.runs <= more.runs + 12  # the last validation of the shorter one may be of no use to the other
    assert more.candidates[more.best].score >= few.candidates[few.best].score


def test_it_is_not_taken_for_another_compile(whole: tuple[Path, Compilation], tmp_path: Path) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    world = World(1)
    with pytest.raises(InputError, match="with other options"):
        _compile(world, tmp_path, seed=2)
    other = World(1)
    other.train = other.train[1:]
    with pytest.raises(InputError, match="with other training examples"):
        _compile(other, tmp_path)
    with pytest.raises(InputError, match="with other program, signatures"):
        _compile(World(1, parts=2), tmp_path)
    changed = json.loads((tmp_path / "manifest.json").read_text())
    changed["versions"]["dspy"] = "2.0"
    (tmp_path / "manifest.json").write_text(json.dumps(changed))
    with pytest.raises(InputError, match="with other versions"):
        _compile(world, tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        _compile(world, tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(InputError, match="without its manifest"):
        _compile(world, tmp_path)
    assert world.runs == 0


def test_a_broken_line_in_the_middle_is_paid_for_again(whole: tuple[Path, Compilation], tmp_path: Path) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    lines = (tmp_path / "evaluations.jsonl").read_text().splitlines(True)
    lines[5] = "garbage\n"
    (tmp_path / "evaluations.jsonl").write_text("".join(lines))
    world = World(1)
    again = _compile(world, tmp_path).compilation
    assert world.runs == 1
    assert _comparable(again) == _comparable(whole[1])


def test_two_compiles_do_not_share_it(tmp_path: Path) -> None:
    with (
        opened(tmp_path, {"a": 1}),
        pytest.raises(InputError, match="Another compile is at work"),
        opened(tmp_path, {}),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written to"):
        _compile(World(1), tmp_path / "file")


def test_ctrl_c_leaves_what_was_found_and_goes_on_later(tmp_path: Path) -> None:
    undisturbed = _compile(World(1), tmp_path / "other").compilation
    world = World(1)
    world.interrupt_after = 40
    with pytest.raises(KeyboardInterrupt) as caught:
        _compile(world, tmp_path / "run")
    partial: Any = getattr(caught.value, "partial", None)
    assert partial.compilation.stopped == "interrupted"
    assert len(partial.compilation.candidates) > 1
    saved = Compilation.from_json(json.loads((tmp_path / "run" / "compilation.json").read_text()))
    assert saved == partial.compilation
    world.interrupt_after = None
    assert _comparable(_compile(world, tmp_path / "run").compilation)[1:] == _comparable(undisturbed)[1:]
    assert world.runs == undisturbed.runs


def test_ctrl_c_in_a_program_run_does_not_count_as_its_failure(tmp_path: Path) -> None:
    world = World(1)

    def metric(example: Any, prediction: Any) -> float:
        if world.runs == 20:
            raise KeyboardInterrupt
        return prediction.score

    optimizer = RLMGEPA(metric, reflection_lm=world.reflect, run_dir=tmp_path, num_threads=1, show_progress=False)
    with pytest.raises(KeyboardInterrupt) as caught:
        optimizer.compile(world.program(), trainset=world.train, valset=world.val)
    assert caught.value.partial.compilation.best == 0  # pyright: ignore[reportAttributeAccessIssue]
    assert len((tmp_path / "evaluations.jsonl").read_text().splitlines()) == 19
    assert isinstance(caught.value.partial, dspy.Module)  # pyright: ignore[reportAttributeAccessIssue]
    assert os.path.exists(tmp_path / "compilation.json")


def test_ctrl_c_does_not_wait_for_runs_on_other_threads(tmp_path: Path) -> None:
    world, may_end, begun = World(1), threading.Event(), threading.Event()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)

    def metric(example: Any, prediction: Any) -> float:
        if not begun.is_set():
            begun.set()
            os.kill(os.getpid(), signal.SIGINT)
        assert may_end.wait(30)
        return prediction.score

    optimizer = RLMGEPA(metric, reflection_lm=world.reflect, run_dir=tmp_path, num_threads=3, show_progress=False)
    try:
        with pytest.raises(KeyboardInterrupt):
            optimizer.compile(world.program(), trainset=world.train, valset=world.val)
        assert not may_end.is_set()
        assert world.runs <= 3
    finally:
        may_end.set()
        signal.signal(signal.SIGINT, handler)
