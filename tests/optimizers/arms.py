"""DSPy's own optimizers, each as one call that compiles a program of the shop."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from rlm_module import Sandbox, thaw
from tests.fake_interpreter import FakeInterpreter
from tests.optimizers.shop import (
    DEMO,
    PAIRS,
    PLAIN,
    ShopLM,
    example,
    is_right,
    one_rlm,
    outer_program,
    rlms_of,
    with_feedback,
)

_QUIET: dict[str, Any] = {"num_threads": 1}


@dataclass(frozen=True, slots=True)
class Subject:
    """A program to compile.

    Args:
        name: What it is.
        make: Makes it; with `other=True`, with other limits and tools.
        is_letter: Whether it takes letters.
    """

    name: str
    make: Callable[..., dspy.Module]
    is_letter: bool

    @property
    def train(self) -> list[dspy.Example]:
        """An order with pairs, and for the RLM alone, which is quicker, one without."""
        orders = [PAIRS] if self.is_letter else [PAIRS, PLAIN]
        return [example(order, is_letter=self.is_letter) for order in orders]

    def student(self) -> dspy.Module:
        """The program, with an old demo in each RLM."""
        program = self.make()
        for rlm in rlms_of(program):
            rlm.generate_action.demos = [dspy.Example(augmented=True, **DEMO)]
        return program


SUBJECTS = (Subject("one RLM", one_rlm, False), Subject("outer program", outer_program, True))


def _gepa(subject: Subject, lm: ShopLM) -> dspy.Module:
    optimizer = dspy.GEPA(
        metric=with_feedback,
        max_metric_calls=12 if subject.is_letter else 6,
        reflection_minibatch_size=1,
        reflection_lm=lm,
        use_merge=False,
        **_QUIET,
    )
    return optimizer.compile(subject.student(), trainset=subject.train[:1])


def _mipro(subject: Subject, lm: ShopLM) -> dspy.Module:
    optimizer = dspy.MIPROv2(
        metric=is_right,
        auto=None,
        num_candidates=3,
        max_bootstrapped_demos=1,
        max_labeled_demos=1,
        init_temperature=0.5,
        **_QUIET,
    )
    options: dict[str, Any] = {"num_trials": 2, "minibatch": False}
    return optimizer.compile(subject.student(), trainset=subject.train, valset=subject.train[:1], **options)


def _copro(subject: Subject, lm: ShopLM) -> dspy.Module:
    options = {**_QUIET, "display_progress": False, "display_table": 0}
    optimizer = dspy.COPRO(metric=is_right, breadth=2, depth=1)
    return optimizer.compile(subject.student(), trainset=subject.train[:1], eval_kwargs=options)


def _simba(subject: Subject, lm: ShopLM) -> dspy.Module:
    return _small_simba().compile(subject.student(), trainset=subject.train[:1], seed=0)


def _small_simba() -> dspy.SIMBA:
    return dspy.SIMBA(metric=is_right, bsize=1, num_candidates=2, max_steps=1, max_demos=2, **_QUIET)


def _bootstrap(subject: Subject, lm: ShopLM) -> dspy.Module:
    optimizer = dspy.BootstrapFewShot(metric=is_right, max_bootstrapped_demos=2, max_labeled_demos=1, max_rounds=4)
    return optimizer.compile(subject.student(), trainset=subject.train)


def _random_search(subject: Subject, lm: ShopLM) -> dspy.Module:
    optimizer = dspy.BootstrapFewShotWithRandomSearch(
        metric=is_right,
        max_bootstrapped_demos=1,
        max_labeled_demos=1,
        max_rounds=4,
        num_candidate_programs=1,
        **_QUIET,
    )
    return optimizer.compile(subject.student(), trainset=subject.train[:1])


def _better_together(subject: Subject, lm: ShopLM) -> dspy.Module:
    optimizer = dspy.BetterTogether(
        metric=is_right,
        p=dspy.BootstrapFewShot(metric=is_right, max_bootstrapped_demos=1, max_labeled_demos=0),
        q=_small_simba(),
    )
    student, hard = subject.student(), [example(PAIRS, is_letter=subject.is_letter)]
    student.set_lm(lm)
    compiled: Any = optimizer.compile(
        student,
        trainset=[example(PLAIN, is_letter=subject.is_letter)],
        valset=hard,
        strategy="p -> q",
        optimizer_compile_args={"q": {"trainset": hard, "seed": 0}},
        **_QUIET,
    )
    assert not compiled.flag_compilation_error_occurred
    compiled.set_lm(None)  # dspy's own predictors would save it
    return compiled


def _ensemble(subject: Subject, lm: ShopLM) -> dspy.Module:
    return _ensembled([compiled(arm, subject).deepcopy() for arm in ARMS if arm.name in ("BootstrapFewShot", "COPRO")])


def _ensembled(members: list[dspy.Module]) -> dspy.Module:
    return dspy.Ensemble(reduce_fn=_most_frequent).compile(members)


def _most_frequent(predictions: Sequence[dspy.Prediction]) -> dspy.Prediction:
    answers = [str(prediction.get("answer", prediction.get("total"))) for prediction in predictions]
    return predictions[answers.index(max(answers, key=answers.count))]


def _reward(subject: Subject) -> Callable[[dict[str, Any], Any], float]:
    """The reward of the answer that is right, found by the order."""

    def reward(inputs: dict[str, Any], prediction: Any) -> float:
        golds = [gold for gold in subject.train if gold.inputs().toDict() == inputs]
        return float(bool(golds) and is_right(golds[0], prediction))

    return reward


def _best_of_n(subject: Subject, lm: ShopLM) -> dspy.Module:
    return _trying(dspy.BestOfN, subject, subject.student())


def _refine(subject: Subject, lm: ShopLM) -> dspy.Module:
    return _trying(dspy.Refine, subject, subject.student())


def _trying(kind: Any, subject: Subject, program: dspy.Module) -> dspy.Module:
    return kind(program, N=4, reward_fn=_reward(subject), threshold=1.0)


def _itself(subject: Subject) -> dspy.Module:
    return subject.make(other=True)


@dataclass(frozen=True, slots=True)
class Arm:
    """An optimizer.

    Args:
        name: Its name in dspy.
        compile: Compiles a subject.
        other: Makes what a saved state is loaded into: the same structure, with other limits and tools.
        gathers_demos: Whether what it returns must hold demos of turns.
        interpreter: Where what it returns is run.
    """

    name: str
    compile: Callable[[Subject, ShopLM], dspy.Module]
    other: Callable[[Subject], dspy.Module] = _itself
    gathers_demos: bool = False
    interpreter: Any = Sandbox


ARMS = (
    Arm("GEPA", _gepa),
    Arm("MIPROv2", _mipro),
    Arm("COPRO", _copro),
    Arm("SIMBA", _simba),
    Arm("BootstrapFewShot", _bootstrap, gathers_demos=True),
    Arm("BootstrapFewShotWithRandomSearch", _random_search, gathers_demos=True),
    Arm("BetterTogether", _better_together),
    Arm(
        "Ensemble",
        _ensemble,
        lambda subject: _ensembled([_itself(subject), _itself(subject)]),
        interpreter=FakeInterpreter,  # its members are those of two other arms, which have run in sandboxes
    ),
    Arm("BestOfN", _best_of_n, lambda subject: _trying(dspy.BestOfN, subject, _itself(subject))),
    Arm("Refine", _refine, lambda subject: _trying(dspy.Refine, subject, _itself(subject))),
)


@functools.cache
def compiled(arm: Arm, subject: Subject) -> dspy.Module:
    """What an optimizer returns, thawed. Its many runs are in this process, without a sandbox."""
    lm = ShopLM()
    with dspy.context(lm=lm, interpreter_factory=FakeInterpreter):
        return thaw(arm.compile(subject, lm))
