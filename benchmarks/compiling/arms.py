"""The arms that are compared: each compiles the same task with the same metric and the same models."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dspy

from benchmarks.compiling.advice import World, drawn, score
from benchmarks.compiling.compilers import Compiler, compiled_by, silence
from benchmarks.compiling.messages import model
from benchmarks.compiling.reflection import ReflectionModel, blanked
from benchmarks.compiling.task_model import TaskModel
from rlm_module import RLM
from tests.fake_interpreter import FakeInterpreter

CAP, LONG, ENOUGH = 150, 600, 10
_TASK = "case, notes -> answer"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of compiling.

    Args:
        name: What `--only` calls it.
        title: What the table calls it.
        compiler: The optimizer.
        program: Makes the program that is compiled.
        told: Whether the metric is wrapped by `trajectory_feedback`.
        cap: Program runs it may make.
        is_blank: Whether records reach the reflection model without their content, so that it can only guess.
    """

    name: str
    title: str
    compiler: Compiler
    program: Callable[[], dspy.Module]
    told: bool = False
    cap: int = CAP
    is_blank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one arm with one seed.

    Args:
        arm: Its name.
        seed: The seed.
        pieces: Pieces of advice that the returned program holds.
        harms: Harmful lines that it holds.
        held_out: Its mean score on the held-out examples.
        to_enough: Program runs until the first whose strategy held ten pieces; None where none did.
        runs: Program runs made.
        refused: Program runs refused.
        reflections: Calls of the reflection model.
        seconds: Wall time of compiling.
    """

    arm: str
    seed: int
    pieces: int
    harms: int
    held_out: float
    to_enough: int | None
    runs: int
    refused: int
    reflections: int
    seconds: float


def our_rlm() -> dspy.Module:
    return RLM(_TASK, interpreter_factory=FakeInterpreter)


def dspy_rlm() -> dspy.Module:
    return dspy.RLM(_TASK, interpreter_factory=FakeInterpreter)


ARMS = {
    arm.name: arm
    for arm in (
        Arm("ours", "RLMGEPA", "RLMGEPA", our_rlm),
        Arm("ours-told", "RLMGEPA, trajectory_feedback", "RLMGEPA", our_rlm, told=True),
        Arm("gepa", "dspy.GEPA on RLM", "dspy.GEPA", our_rlm),
        Arm("gepa-told", "dspy.GEPA on RLM, trajectory_feedback", "dspy.GEPA", our_rlm, told=True),
        Arm("gepa-dspy", "dspy.GEPA on dspy.RLM", "dspy.GEPA", dspy_rlm),
        Arm("gepa-dspy-told", "dspy.GEPA on dspy.RLM, trajectory_feedback", "dspy.GEPA", dspy_rlm, told=True),
        Arm("ours-blank", "RLMGEPA, records blanked", "RLMGEPA", our_rlm, is_blank=True),
        Arm("gepa-blank", "dspy.GEPA on RLM, records blanked", "dspy.GEPA", our_rlm, is_blank=True),
        Arm("gepa-long", "dspy.GEPA on RLM, 600 runs", "dspy.GEPA", our_rlm, cap=LONG),
    )
}


def compiled(name: str, seed: int) -> Outcome:
    """Compiles with one arm, then runs the returned program on the held-out examples."""
    arm, world = ARMS[name], drawn(seed)
    task, reflection = TaskModel(world, arm.cap), ReflectionModel(world, seed, guesses=arm.is_blank)
    program = arm.program()
    check_default(world, program)
    metric: Any = score
    if arm.told:
        from rlm_module.optimizers import trajectory_feedback

        metric = trajectory_feedback(score)
    models = model(task), model(blanked(world, reflection) if arm.is_blank else reflection)
    began = time.perf_counter()
    learned = compiled_by(arm.compiler, program, world, metric, models, arm.cap, seed)
    seconds = time.perf_counter() - began
    reached = (number for number, seen in enumerate(task.runs, 1) if seen.pieces >= ENOUGH)
    last = TaskModel(world)
    with silence(), dspy.context(lm=model(last)):
        scores = [score(case.example(), learned(**case.example().inputs())) for case in world.held_out]
    return Outcome(
        arm=name,
        seed=seed,
        pieces=last.runs[-1].pieces,
        harms=last.runs[-1].harms,
        held_out=sum(scores) / len(scores),
        to_enough=next(reached, None),
        runs=len(task.runs),
        refused=task.refused,
        reflections=reflection.calls,
        seconds=seconds,
    )


def check_default(world: World, program: dspy.Module) -> None:
    """Makes sure that no advice and no harmful line stands in a strategy before anything was learned.

    Raises:
        ValueError: If one does.
    """
    for name, predictor in program.named_predictors():
        text = str(getattr(predictor.signature, "instructions", ""))
        if world.held(text) or world.harmful(text):
            raise ValueError(f"The instructions of {name} hold what is yet to be learned.")
