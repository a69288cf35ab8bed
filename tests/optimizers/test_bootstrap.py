from __future__ import annotations

import itertools
import json
import logging
import threading
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_module import RLM, Budget, InputError, Sandbox, spending, traced_runs
from rlm_module.optimizers import RLMBootstrap, trajectory_feedback
from tests.fake_interpreter import FakeInterpreter
from tests.optimizers.programs import TwoStep, exact, example, number_lm
from tests.scripted import ScriptedLM, fields, texts, turn


def _compiled(
    trainset: list[dspy.Example], lm: Any, metric: Any = exact, student: Any = None, teacher: Any = None, **options: Any
) -> Any:
    options = {"show_progress": False, "num_threads": 1, **options}
    with dspy.context(lm=lm):
        return RLMBootstrap(metric, **options).compile(student or TwoStep(), teacher=teacher, trainset=trainset)


def _firsts(rlm: RLM) -> list[str]:
    return [demo["turns"][0]["reasoning"] for demo in rlm.generate_action.demos]


def test_each_rlm_gets_whole_trajectories_of_successful_runs(tmp_path: Path) -> None:
    trainset = [example(1), example(2), example(3)]
    compiled = _compiled(trainset, number_lm(wrong=(1, 3)), student=TwoStep(interpreter_factory=Sandbox))
    assert _firsts(compiled.reader) == ["Number 2."]
    assert [len(demo["turns"]) for demo in compiled.reader.generate_action.demos] == [2]
    assert _firsts(compiled.writer) == ["Passed on."]
    assert compiled.check.demos == []
    assert not getattr(compiled, "_compiled", False)
    compiled.save(tmp_path / "state.json")
    assert "[Turn " not in (tmp_path / "state.json").read_text()
    fresh = TwoStep(max_iters=4, interpreter_factory=Sandbox)
    fresh.load(tmp_path / "state.json")
    lm = number_lm()
    with dspy.context(lm=lm):
        assert fresh(**example(9).inputs()).answer == "9"
    first = texts(lm.requests[0])
    assert [role for role, _ in first] == ["system", *["user", "assistant"] * 2, "user"]
    assert "the number is 2" in first[1][1]


def test_the_student_stays_as_it_is_and_keeps_what_it_has_learned() -> None:
    student = TwoStep()
    student.reader.generate_action.signature = student.reader.generate_action.signature.with_instructions("Be quick.")
    student.writer.wording.sub_calls = "Be exact."
    compiled = _compiled([example(1)], number_lm(), student=student)
    assert student.reader.generate_action.demos == []
    assert compiled.reader.generate_action.signature.instructions == "Be quick."
    assert compiled.writer.wording.sub_calls == "Be exact."


def test_the_brief_one_of_two_that_are_as_good_comes_first() -> None:
    compiled = _compiled([example(1), example(2)], number_lm(slow=(1,)))
    assert _firsts(compiled.reader)[0] == "Number 2."
    assert len(compiled.reader.generate_action.demos) == 2


def test_no_more_than_asked_for_and_none_below_the_threshold() -> None:
    def graded(gold: Any, pred: Any) -> float:
        return int(gold.answer) / 10

    trainset = [example(number) for number in (3, 6, 8, 9)]
    compiled = _compiled(trainset, number_lm(), graded, max_demos=1, threshold=0.7)
    assert _firsts(compiled.reader) == ["Number 9."]
    unchanged = _compiled(trainset, number_lm(), graded, threshold=1.0)
    assert unchanged.reader.generate_action.demos == []


def test_a_teacher_may_solve_the_examples() -> None:
    teacher = TwoStep()
    teacher.set_lm(number_lm())
    compiled = _compiled([example(1)], number_lm(wrong=(1,)), teacher=teacher)
    assert _firsts(compiled.reader) == ["Number 1."]


def test_an_rlm_that_is_the_program_is_taught_and_saved_whole_though_it_was_frozen() -> None:
    trainset = [example(1).without("answer")]
    alone: Any = RLM("context, question -> finding", interpreter_factory=FakeInterpreter)
    alone._compiled = True
    compiled = _compiled(trainset, number_lm(), lambda gold, pred: pred.finding == "1", student=alone)
    assert len(compiled.generate_action.demos) == 1
    assert compiled._compiled is False
    assert alone._compiled is True


def test_a_frozen_part_is_left_alone_and_told_of(caplog: pytest.LogCaptureFixture) -> None:
    frozen: Any = TwoStep()
    frozen.reader._compiled = True
    with caplog.at_level(logging.INFO, logger="rlm_module"):
        compiled = _compiled([example(1)], number_lm(), student=frozen)
    assert compiled.reader.generate_action.demos == []
    assert len(compiled.writer.generate_action.demos) == 1
    assert [record.getMessage() for record in caplog.records if "Frozen parts stay" in record.getMessage()] == [
        "Frozen parts stay as they are (reader); rlm_module.thaw(program) lets them learn."
    ]
    frozen.writer._compiled = True
    with pytest.raises(InputError, match="All RLMs of the program are frozen"):
        _compiled([example(1)], number_lm(), student=frozen)


def test_an_answer_that_was_drawn_up_is_no_demonstration() -> None:
    lm = ScriptedLM([turn("print(1)"), fields(answer="1")])
    student = RLM("context, question -> answer", max_iters=1, interpreter_factory=FakeInterpreter)
    assert _compiled([example(1)], lm, student=student).generate_action.demos == []


def test_runs_are_limited_and_threads_change_nothing() -> None:
    trainset = [example(number) for number in range(1, 9)]
    one, many = (_compiled(trainset, number_lm(), max_runs=5, num_threads=threads) for threads in (1, 4))
    assert len(one.reader.generate_action.demos) == 3
    assert json.dumps(one.dump_state()) == json.dumps(many.dump_state())
    lm = number_lm()
    _compiled(trainset, lm, max_runs=2)
    assert len(lm.requests) == 2 * 4


def test_an_example_that_fails_is_told_of_once_and_the_others_count(caplog: pytest.LogCaptureFixture) -> None:
    bad = dspy.Example(context="the number is 5", answer="5").with_inputs("context")
    with caplog.at_level(logging.WARNING, logger="rlm_module"):
        compiled = _compiled([bad, example(2)], number_lm())
    assert _firsts(compiled.reader) == ["Number 2."]
    (record,) = [record for record in caplog.records if "left out" in record.getMessage()]
    assert "Example 0" in record.getMessage()
    assert "question" in record.getMessage()


def test_the_metric_gets_the_trace_of_the_examples_run() -> None:
    seen: list[list[str]] = []

    def metric(gold: Any, pred: Any, trace: Any = None) -> float:
        seen.append([run.path for run in traced_runs(trace)])
        return float(len(trace) == 4)

    compiled = _compiled([example(1), example(2)], number_lm(), metric)
    assert seen == [["self.reader", "self.writer"]] * 2
    assert len(compiled.reader.generate_action.demos) == 2


def test_a_metric_with_feedback_serves_too() -> None:
    compiled = _compiled([example(1), example(2)], number_lm(wrong=(1,)), trajectory_feedback(exact))
    assert _firsts(compiled.reader) == ["Number 2."]


@pytest.mark.parametrize("wrap", [lambda metric: metric, trajectory_feedback])
@pytest.mark.parametrize(("count", "runs"), [(2, 2), (9, 3)])
def test_a_metric_that_never_judges_ends_the_compile_soon(count: int, runs: int, wrap: Any) -> None:
    lm = number_lm()
    with pytest.raises(InputError, match=f"none of {runs} predictions. The metric returned None"):
        _compiled([example(number) for number in range(1, count + 1)], lm, wrap(lambda gold, pred: None))
    assert len(lm.requests) == 4 * runs


def test_a_metric_that_fails_for_one_example_leaves_that_out() -> None:
    compiled = _compiled([example(1), example(2)], number_lm(), lambda gold, pred: 1 / (int(gold.answer) - 1))
    assert _firsts(compiled.reader) == ["Number 2."]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trainset": []}, "trainset is empty"),
        ({"trainset": None}, "trainset must be a list of dspy.Example, not NoneType"),
        ({"trainset": [{"q": 1}]}, "Item 0 of the trainset is a dict, not a dspy.Example"),
        ({"trainset": [example(), dspy.Example(q=1)]}, "Example 1 of the trainset does not tell its inputs"),
        ({"student": dspy.Predict("q -> a")}, "holds no RLM"),
        ({"student": "program"}, "student must be a dspy.Module, not str"),
        ({"teacher": 5}, "teacher must be a dspy.Module, not int"),
        ({"teacher": RLM("q -> a")}, "teacher has no RLM where the student has its own"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(given: dict[str, Any], message: str) -> None:
    given = {"student": TwoStep(), "trainset": [example()], **given}
    with pytest.raises(InputError, match=message):
        RLMBootstrap(exact).compile(given["student"], teacher=given.get("teacher"), trainset=given["trainset"])


@pytest.mark.parametrize(
    "options",
    [{"max_demos": 0}, {"max_runs": 0}, {"num_threads": 0}, {"max_demos": "3"}, {"max_demos": None}, {"max_runs": 1.5}],
)
def test_limits_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="at least 1, not"):
        RLMBootstrap(exact, **options)
    with pytest.raises(InputError, match="metric must be a function"):
        RLMBootstrap("exact")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="threshold must be a finite number"):
        RLMBootstrap(exact, threshold="0.5")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_it_with_what_was_found(threads: int, caplog: pytest.LogCaptureFixture) -> None:
    """Pressed while the third example is judged."""
    judged, is_over = itertools.count(1), threading.Event()

    def metric(gold: Any, pred: Any) -> float:
        number = next(judged)
        if number == 3:
            raise KeyboardInterrupt
        if number > 3:
            is_over.wait(60)
        return exact(gold, pred)

    trainset = [example(number) for number in range(1, 9)]
    with pytest.raises(KeyboardInterrupt) as stopped:
        _compiled(trainset, number_lm(), metric, num_threads=threads)
    partial: Any = getattr(stopped.value, "partial", None)
    assert 1 <= len(partial.reader.generate_action.demos) <= 3
    assert "stopped after" in caplog.text
    is_over.set()
    assert next(judged) <= 3 + threads


def test_gathering_ends_where_the_shared_money_does_and_tells_what_it_took() -> None:
    """A run takes four calls of half a cent."""
    lm, trainset = number_lm(), [example(number) for number in range(1, 30)]
    lm.kwargs["max_tokens"] = 10
    with spending(Budget(cost_usd=0.05, prices={"scripted/model": (0.0, 1000.0)})) as spent:
        compiled = _compiled(trainset, lm)
    found = compiled.gathering
    assert 0 < found.good < found.runs < 29
    assert found.cost_usd == pytest.approx(spent.usage.total.cost_usd)
    assert 0 < found.cost_usd <= 0.05
    assert (found.failed, found.unjudged) == (1, 0)
