"""The two drivers: what steps get, how they end, and that nothing they have open stays open."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_module.driver import adrive, drive

Do: TypeAlias = Callable[[Any], Any]
Steps: TypeAlias = Generator[Any, Any, Any]


def _driven(steps: Steps, do: Do) -> Any:
    return drive(steps, do)


def _adriven(steps: Steps, do: Do) -> Any:
    async def ado(step: Any) -> Any:
        await asyncio.sleep(0)
        return do(step)

    return asyncio.run(adrive(steps, ado))


both = pytest.mark.parametrize("driven", [_driven, _adriven])


class _Fault(Exception):
    pass


# A script is what the steps want, one by one, each with what comes of it and whether they go on from a fault.
_SCRIPT = st.lists(st.tuples(st.integers(), st.booleans(), st.booleans()), max_size=8)


def _scripted(script: list[tuple[int, bool, bool]], seen: list[Any]) -> Steps:
    for wanted, _, goes_on in script:
        try:
            seen.append((yield wanted))
        except _Fault as fault:
            seen.append(fault)
            if not goes_on:
                raise
    return len(seen)


@both
@given(script=_SCRIPT)
def test_each_step_is_done_once_and_gets_what_came_of_it(driven: Any, script: list[tuple[int, bool, bool]]) -> None:
    done: list[int] = []
    results: list[Any] = [_Fault(n) if fails else object() for n, (_, fails, _) in enumerate(script)]

    def do(step: int) -> Any:
        done.append(step)
        result = results[len(done) - 1]
        if isinstance(result, _Fault):
            raise result
        return result

    seen: list[Any] = []
    fatal = next((n for n, (_, fails, goes_on) in enumerate(script) if fails and not goes_on), None)
    count = len(script) if fatal is None else fatal + 1
    if fatal is None:
        assert driven(_scripted(script, seen), do) == count
    else:
        with pytest.raises(_Fault) as raised:
            driven(_scripted(script, seen), do)
        assert raised.value is results[fatal]
    assert done == [wanted for wanted, _, _ in script[:count]]
    assert len(seen) == count
    assert all(one is other for one, other in zip(seen, results, strict=False))


@both
@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, SystemExit, _Fault])
def test_whatever_ends_a_step_the_steps_are_closed(driven: Any, error: type[BaseException]) -> None:
    ends: list[type[BaseException]] = []

    def steps() -> Steps:
        try:
            yield
        except BaseException as end:
            ends.append(type(end))
            raise

    def fails(_: None) -> None:
        raise error

    running = steps()  # held on to, so that nothing but the driver can have closed it
    with pytest.raises(error):
        driven(running, fails)
    assert inspect.getgeneratorstate(running) == inspect.GEN_CLOSED
    # Only an Exception is theirs to mend.
    assert ends == [error if error is _Fault else GeneratorExit]


def test_a_task_that_is_cancelled_closes_the_steps() -> None:
    async def main() -> bool:
        begun = asyncio.Event()

        async def forever(_: None) -> None:
            begun.set()
            await asyncio.Event().wait()

        def steps() -> Steps:
            yield

        running = steps()
        task = asyncio.create_task(adrive(running, forever))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return inspect.getgeneratorstate(running) == inspect.GEN_CLOSED

    assert asyncio.run(main())
