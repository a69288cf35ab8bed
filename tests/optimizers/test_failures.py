"""What fails one example, and what fails all."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import dspy
import pytest

from rlm_module import InputError
from rlm_module.optimizers import RLMBootstrap, measure
from rlm_module.optimizers.failures import FAILURES, require_lm
from tests.optimizers.programs import TwoStep, exact, example, number_lm


class _Fails(TwoStep):
    """Raises an error at the second example."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def forward(self, context: str, question: str) -> dspy.Prediction:
        if question == "question 2":
            raise self.error
        return super().forward(context=context, question=question)


_TRAIN = [example(1), example(2), example(3)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("error", [ValueError("no such page"), SystemExit(1), asyncio.CancelledError()])
def test_whatever_a_program_raises_is_its_examples_loss(
    error: BaseException, threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    program = _Fails(error)
    with dspy.context(lm=number_lm()), caplog.at_level(logging.WARNING):
        assert measure(program, _TRAIN, exact, num_threads=threads).score == pytest.approx(2 / 3)
        bootstrap = RLMBootstrap(exact, num_threads=threads, show_progress=False)
        gathered: Any = bootstrap.compile(program, trainset=_TRAIN)
    assert (gathered.gathering.failed, gathered.gathering.good) == (1, 2)
    assert caplog.text.count(type(error).__name__) == 2


def test_ctrl_c_is_nobodys_failure() -> None:
    assert not issubclass(KeyboardInterrupt, FAILURES)


def test_the_want_of_an_lm_ends_all() -> None:
    with pytest.raises(InputError, match="No run can succeed: No LM is"):
        measure(TwoStep(), _TRAIN, exact)
    with pytest.raises(InputError, match="No run can succeed: No LM is"):
        RLMBootstrap(exact, show_progress=False).compile(TwoStep(), trainset=_TRAIN)
    require_lm(ValueError("something else"))
