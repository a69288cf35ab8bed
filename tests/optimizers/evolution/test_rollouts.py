"""Program runs: each pair once, in order, within what may be spent, and with all that is to be known of them."""

from __future__ import annotations

import threading
from typing import Any

import dspy
import pytest

from rlm_module import Budget, spending
from rlm_module.optimizers.evolution.cases import Case, cases, digest
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.evaluations import Evaluations
from rlm_module.optimizers.evolution.rollouts import BROKE, Rollout, Rollouts
from rlm_module.optimizers.evolution.runner import Runner
from rlm_module.optimizers.evolution.stopping import Allowance, Exhausted
from rlm_module.optimizers.metrics import Metric
from tests.optimizers.hidden_advice import World
from tests.scripted import ScriptedLM, fields


def _rollouts(run: Any, allowance: Allowance | None = None, evaluations: Evaluations | None = None) -> Rollouts:
    student = World().program()
    return Rollouts(
        student, Components(student), run, allowance or Allowance(None, None), evaluations or Evaluations(), threads=4
    )


def _cases(*names: str) -> list[Case]:
    return cases([dspy.Example(q=name).with_inputs("q") for name in names], "trainset")


class _Run:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, program: Any, example: dspy.Example) -> Rollout:
        self.seen.append(example.q)
        return Rollout(score=float(len(example.q)), cost_usd=0.1)


def test_each_pair_is_run_once() -> None:
    run, allowance = _Run(), Allowance(None, None)
    rollouts = _rollouts(run, allowance)
    found = rollouts.run({"first": "a"}, _cases("x", "yy", "x"))
    assert [rollout.score for rollout in found] == [1.0, 2.0, 1.0]
    rollouts.run({"first": "a"}, _cases("yy", "zzz"))
    rollouts.run({"first": "b"}, _cases("x"))
    assert sorted(run.seen) == ["x", "x", "yy", "zzz"]
    assert allowance.runs == 4
    assert len(rollouts.known({"first": "a"})) == 3


def test_what_cannot_be_paid_is_not_begun() -> None:
    run = _Run()
    rollouts = _rollouts(run, Allowance(2, None))
    with pytest.raises(Exhausted):
        rollouts.run({"first": "a"}, _cases("x", "y", "z"))
    assert run.seen == []
    assert len(rollouts.run({"first": "a"}, _cases("x", "y"))) == 2


def test_a_run_that_lacked_the_compiles_money_says_nothing_of_its_candidate() -> None:
    evaluations, allowance = Evaluations(), Allowance(None, 1.0)

    def run(program: Any, example: dspy.Example) -> Rollout:
        return Rollout(score=0.0, failed=BROKE if example.q == "y" else "", cost_usd=0.2)

    rollouts = _rollouts(run, allowance, evaluations)
    with pytest.raises(Exhausted, match="money"):
        rollouts.run({"first": "a"}, _cases("x", "y"))
    assert allowance.cost_usd == pytest.approx(0.4)
    assert len(rollouts.known({"first": "a"})) == 1


def test_a_rollout_comes_back_from_json_as_it_was() -> None:
    rollout = Rollout(score=0.5, feedback="f", notes={"a": "b"}, steps={"p": "q"}, inputs="i", answer="a", seconds=1.5)
    assert Rollout.from_json(rollout.to_json()) == rollout


def test_results_stand_in_the_order_of_the_examples() -> None:
    first_may_end = threading.Event()

    def run(program: Any, example: dspy.Example) -> Rollout:
        if example.q == "0":
            assert first_may_end.wait(20)
        if example.q == "3":
            first_may_end.set()
        return Rollout(score=float(example.q))

    found = _rollouts(run).run({"first": "a"}, _cases("0", "1", "2", "3"))
    assert [rollout.score for rollout in found] == [0.0, 1.0, 2.0, 3.0]


def test_threads_have_the_callers_settings() -> None:
    def run(program: Any, example: dspy.Example) -> Rollout:
        return Rollout(score=0.0, feedback=dspy.settings.rollout_mark)

    with dspy.context(rollout_mark="here"):
        found = _rollouts(run).run({"first": "a"}, _cases("x", "y"))
    assert [rollout.feedback for rollout in found] == ["here", "here"]


def test_each_run_is_booked_as_it_ends() -> None:
    allowance, may_end = Allowance(None, None), threading.Event()

    def run(program: Any, example: dspy.Example) -> Rollout:
        if example.q == "stop":
            assert may_end.wait(20)
            raise KeyboardInterrupt
        return Rollout(score=1.0, cost_usd=0.5)

    student = World().program()
    rollouts = Rollouts(student, Components(student), run, allowance, Evaluations(), 2, lambda one: may_end.set())
    with pytest.raises(KeyboardInterrupt):
        rollouts.run({"first": "a"}, _cases("stop", "early"))
    assert (allowance.runs, allowance.cost_usd) == (1, 0.5)
    assert len(rollouts.known({"first": "a"})) == 1


@pytest.mark.parametrize("damaged", [{"score": 1}, {"score": "x", "records": []}, {"score": 1, "records": [{}]}, {}])
def test_a_damaged_run_in_the_journal_is_made_again(damaged: Any, caplog: pytest.LogCaptureFixture) -> None:
    run, evaluations = _Run(), Evaluations()
    evaluations.add(digest({"first": "a"}), _cases("x")[0].key, damaged)
    assert _rollouts(run, None, evaluations).run({"first": "a"}, _cases("x"))[0].score == 1.0
    assert run.seen == ["x"]
    assert "cannot be read" in caplog.text


def _run(metric: Any, parts: int = 2) -> Rollout:
    world = World(parts=parts)
    program = world.program()
    runner = Runner(Components(program), Metric(metric), lambda score: score >= 1)
    return runner(program, world.train[0])


def test_what_plain_predictors_gave_is_told() -> None:
    rollout = _run(lambda example, prediction: 0.0)
    assert list(rollout.steps) == ["first", "second"]
    assert "q: train 0" in rollout.steps["first"]
    assert "a: fine" in rollout.steps["second"]
    assert rollout.answer.startswith("a: done")
    assert rollout.cost_usd == 0.0


def test_a_metric_that_tells_predictors_apart_is_asked_about_each() -> None:
    def metric(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        if pred_name is None:
            return 0.25
        assert all(step[1] == {"q": "train 0"} for step in pred_trace)
        return dspy.Prediction(score=0.25, feedback="It was hasty." if pred_name == "second" else "")

    rollout = _run(metric)
    assert rollout.score == 0.25
    assert rollout.notes == {"first": "", "second": "It was hasty."}


def test_one_that_does_not_gives_its_feedback_to_all() -> None:
    def metric(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        return 0.25 if pred_name is None else dspy.Prediction(score=0.25, feedback="It was hasty.")

    rollout = _run(metric)
    assert (rollout.feedback, rollout.notes) == ("It was hasty.", {})


def test_a_perfect_run_is_not_asked_about() -> None:
    asked: list[Any] = []

    def metric(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        asked.append(pred_name)
        return 1.0

    _run(metric)
    assert asked == [None]


def test_a_program_that_fails_is_a_record_with_a_sentence() -> None:
    world = World()
    program = world.program()

    class _Broken(type(program)):
        def forward(self, q: str) -> Any:
            raise ValueError("no such page")

    broken = _Broken(world)
    rollout = Runner(Components(broken), Metric(world.metric), lambda score: score >= 1)(broken, world.train[0])
    assert (rollout.score, rollout.failed) == (0.0, "program")
    assert rollout.fault == "The program failed on this example: ValueError: no such page"


def test_a_plain_predictor_with_an_lm_of_its_own_is_paid_for_too() -> None:
    predictor = dspy.Predict("q -> a")
    predictor.lm = ScriptedLM([fields(a="x")], max_tokens=5)
    program = _Wrapped(predictor)
    runner = Runner(Components(program), Metric(lambda example, prediction: 0.0), lambda score: score >= 1)
    with spending(Budget(prices={"scripted/model": (0.0, 1_000.0)})) as spent:
        rollout = runner(program, World().train[0])
    assert rollout.cost_usd == pytest.approx(0.005)
    assert spent.usage.total.cost_usd == pytest.approx(0.005)
    assert "a: x" in rollout.steps["inner"]
    assert isinstance(predictor.lm, ScriptedLM)


class _Wrapped(dspy.Module):
    def __init__(self, inner: dspy.Predict) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, q: str) -> dspy.Prediction:
        return self.inner(q=q)
