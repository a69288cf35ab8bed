"""RLMGEPA from its arguments to the program it returns."""

from __future__ import annotations

import logging
import statistics
from typing import Any

import dspy
import pytest

from rlm_module import InputError
from rlm_module.optimizers import RLMGEPA, Compilation
from tests.optimizers.hidden_advice import World


def _optimizer(world: World, **options: Any) -> RLMGEPA:
    metric = options.pop("metric", world.metric)
    options = {"reflection_lm": world.reflect, "show_progress": False, "num_threads": 1, **options}
    return RLMGEPA(metric, **options)


def _compile(world: World, **options: Any) -> Any:
    return _optimizer(world, **options).compile(world.program(), trainset=world.train, valset=world.val)


def test_it_finds_the_advice_within_its_runs() -> None:
    held: list[int] = []
    for seed in range(10):
        world = World(seed)
        program = _compile(world, max_runs=150, seed=seed)
        assert world.runs <= 150
        assert program.compilation.runs == world.runs
        held.append(len(world.held(program.first.signature.instructions)))
    assert statistics.median(held) >= 11
    assert min(held) >= 9


def test_it_knows_nothing_without_records() -> None:
    world = World(1)

    def blind(request: str) -> str:
        for symptom in world.symptoms:
            request = request.replace(symptom, "")
        return world.reflect(request)

    program = _compile(world, reflection_lm=blind, max_runs=100)
    assert len(world.held(program.first.signature.instructions)) == 0


def test_the_student_is_left_as_it_was_and_the_copy_is_open() -> None:
    world = World()
    student = world.program()
    student._compiled = True  # pyright: ignore[reportPrivateUsage]
    before = student.dump_state()
    program = _optimizer(world, max_runs=60).compile(student, trainset=world.train, valset=world.val)
    assert student.dump_state() == before
    assert program is not student
    assert not program._compiled
    assert program.dump_state() != before
    assert "compilation" not in str(program.dump_state())


def test_the_record_survives_copies_and_json() -> None:
    compilation = _compile(World(), max_runs=60).deepcopy()
    assert not hasattr(compilation, "compilation")  # the fake copies its texts only
    program = _compile(World(), max_runs=60)
    record = program.compilation
    assert Compilation.from_json(record.to_json()) == record
    assert record.candidates[0].score == pytest.approx(0.0)
    best = record.candidates[record.best]
    assert len(best.scores) == 12
    assert best.score == max(one.score for one in record.candidates if len(one.scores) == 12)
    assert best.texts["first"] == program.first.signature.instructions
    assert record.best in record.front


def test_it_runs_the_same_with_and_without_threads() -> None:
    one, many = (_compile(World(3, harm=0.0), max_runs=80, num_threads=n, seed=3).compilation for n in (1, 8))
    assert [c.texts for c in one.candidates] == [c.texts for c in many.candidates]
    assert (one.runs, one.best) == (many.runs, many.best)


@pytest.mark.parametrize("max_runs", [12, 13, 17, 25, 31, 40])
def test_it_never_runs_past_its_limit(max_runs: int) -> None:
    world = World(2)
    program = _compile(world, max_runs=max_runs)
    assert world.runs <= max_runs
    assert len(program.compilation.candidates[program.compilation.best].scores) == 12


def test_without_limits_it_ends_all_the_same() -> None:
    world = World(4)
    record = _compile(world).compilation
    assert world.runs <= 6 * 36
    assert record.stopped == "every training example is solved"


def test_it_gives_up_where_nothing_is_proposed() -> None:
    world = World(harm=0.0)
    record = _compile(world, reflection_lm=lambda request: "", patience=3).compilation
    assert record.stopped == "no better candidate for a while"
    assert world.runs < 40
    assert record.dropped
    assert record.dropped[0].faults == ("The reflection model replied with nothing.",)


def test_an_essay_is_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    with caplog.at_level(logging.INFO, "rlm_module.optimizers"):
        record = _compile(world, reflection_lm=lambda request: "I think so. " * 2_000, patience=2).compilation
    assert {dropped.component for dropped in record.dropped} == {"first"}
    assert all(len(dropped.text) < 5_000 for dropped in record.dropped)
    assert "was dropped" in caplog.text


def test_a_reflection_model_that_fails_ends_nothing() -> None:
    def fail(request: str) -> str:
        raise RuntimeError("overloaded")

    record = _compile(World(), reflection_lm=fail, patience=2).compilation
    assert record.best == 0


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (lambda example, prediction: None, "returned None"),
        (lambda example, prediction: float("nan"), "returned nan"),
        (lambda example, prediction: "good", "returned 'good'"),
        (lambda example, prediction: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_metric_that_never_gives_a_score_is_refused_at_once(metric: Any, told: str) -> None:
    world = World()
    with pytest.raises(InputError, match=told):
        _compile(world, metric=metric)
    assert world.runs == 12


def test_a_score_above_a_perfect_one_is_refused_at_once() -> None:
    world = World()
    with pytest.raises(InputError, match=r"gave 50, which is above perfect_score=1; pass"):
        _compile(world, metric=lambda example, prediction: 50 + prediction.score)
    best = _compile(world, metric=lambda example, prediction: 50 + prediction.score, perfect_score=51, max_runs=60)
    assert best.compilation.candidates[best.compilation.best].score > 50


def test_a_metric_that_fails_at_times_is_no_reason_to_stop() -> None:
    world = World(5)

    def metric(example: Any, prediction: Any) -> Any:
        return None if example.q == "val 3" else prediction.score

    program = _compile(world, metric=metric, max_runs=100)
    assert len(world.held(program.first.signature.instructions)) >= 8


def test_a_metric_of_true_and_false_counts_as_1_and_0() -> None:
    world = World(5)
    record = _compile(world, metric=lambda example, prediction: prediction.score >= 0.5, max_runs=80).compilation
    assert record.candidates[record.best].score > 0.5


def test_a_program_that_fails_at_times_is_no_reason_to_stop() -> None:
    world = World(5)

    class Fragile(type(world.program())):
        def forward(self, q: str) -> dspy.Prediction:
            if q == "val 3":
                raise ValueError("no such page")
            return super().forward(q)

    program = Fragile(world)
    compiled = _optimizer(world, max_runs=100).compile(program, trainset=world.train, valset=world.val)
    assert compiled.compilation.candidates[0].scores[3] == 0


def test_a_program_that_always_fails_is_refused_at_once() -> None:
    class Broken(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.answer = dspy.Predict("q -> a")

        def forward(self, q: str) -> dspy.Prediction:
            raise ValueError("no such page")

    world = World()
    with pytest.raises(InputError, match="ValueError: no such page"):
        _optimizer(world).compile(Broken(), trainset=world.train)


def test_bad_examples_are_named() -> None:
    world, program = World(), World().program()
    with pytest.raises(InputError, match="trainset is empty"):
        _optimizer(world).compile(program, trainset=[])
    with pytest.raises(InputError, match="Example 1 of the valset does not tell its inputs"):
        _optimizer(world).compile(program, trainset=world.train, valset=[world.val[0], dspy.Example(q="x")])
    with pytest.raises(InputError, match="Item 0 of the trainset is a dict"):
        _optimizer(world).compile(program, trainset=[{"q": "x"}])  # pyright: ignore[reportArgumentType]


def test_bad_programs_are_named() -> None:
    world = World()
    with pytest.raises(InputError, match="not str"):
        _optimizer(world).compile("program", trainset=world.train)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="holds nothing to compile"):
        _optimizer(world).compile(dspy.Module(), trainset=world.train)
    with pytest.raises(InputError, match="max_runs=5 does not pay"):
        _compile(world, max_runs=5)
    with pytest.raises(InputError, match="no reflection model"):
        _compile(world, reflection_lm=None)


def test_no_lm_is_said_at_once() -> None:
    world = World()
    with pytest.raises(InputError, match="No LM is"):
        _optimizer(world).compile(dspy.Predict("q -> a"), trainset=world.train)


@pytest.mark.parametrize(
    "options",
    [
        {"max_runs": 0},
        {"max_cost_usd": 0},
        {"max_cost_usd": float("nan")},
        {"patience": True},
        {"minibatch_size": 1.5},
        {"learn": ["strategies"]},
        {"perfect_score": "1"},
        {"seed": None},
        {"max_text_chars": 0},
        {"reflection_lm": "openai/gpt-5"},
    ],
)
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        _optimizer(World(), **options)


def test_it_tells_how_far_it_is_unless_told_not_to(capfd: pytest.CaptureFixture[str]) -> None:
    _compile(World(), max_runs=30, show_progress=True)
    shown = capfd.readouterr()
    assert "RLMGEPA" in shown.err
    assert "best=" in shown.err
    assert not shown.out
    _compile(World(), max_runs=30)
    assert capfd.readouterr() == ("", "")


def test_of_two_parts_the_one_at_fault_is_changed() -> None:
    changed: list[str] = []
    for seed in range(6):
        world = World(seed, parts=2)
        world.at_fault = seed % 2
        record = _compile(world, max_runs=100, seed=seed).compilation
        wanted = ("first", "second")[world.at_fault]
        changed += ["right" if name == wanted else "wrong" for one in record.candidates for name in one.changed]
    assert changed.count("right") >= 0.9 * len(changed)
