"""What steps have open is left, however they end."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from rlm_module.memory.steps import Ask, Steps, adrive, drive

_OPEN: ContextVar[bool] = ContextVar("open", default=False)


@contextmanager
def _open() -> Generator[None]:
    token = _OPEN.set(True)
    try:
        yield
    finally:
        _OPEN.reset(token)


def _steps(module: Any) -> Steps[Any]:
    with _open():
        return (yield Ask(module, {}))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_ends_a_step_leaves_nothing_open(error: type[BaseException]) -> None:
    def fails() -> None:
        raise error

    with pytest.raises(error) as kept:  # whose traceback holds on to what was open
        drive(_steps(fails))
    assert kept.value is not None
    assert not _OPEN.get()


def test_a_task_that_is_cancelled_leaves_nothing_open() -> None:
    class Cancelled:
        async def acall(self) -> None:
            raise asyncio.CancelledError

    async def is_left() -> bool:
        with pytest.raises(asyncio.CancelledError):
            await adrive(_steps(Cancelled()))
        return not _OPEN.get()

    assert asyncio.run(is_left())


def test_steps_end_with_their_value() -> None:
    assert drive(_steps(lambda: 3)) == asyncio.run(adrive(_steps(lambda: 3))) == 3
