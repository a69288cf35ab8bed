"""Sessions as checks use them: started, asked to run cells, and closed; with a host that answers at once."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rlm_module.sandbox.base import CellResult, Dispatch, HostCall, Session, Setup
from rlm_module.sandbox.conformance.claims import require, result_of

MakeSession: TypeAlias = "Callable[[], Session]"


@dataclass(slots=True)
class Host:
    """Answers host calls at once, and keeps them."""

    answer: Callable[[HostCall], Any] = lambda call: call.args[0]
    calls: list[HostCall] = field(default_factory=list[HostCall])

    def dispatch(self, call: HostCall) -> Future[Any]:
        self.calls.append(call)
        future: Future[Any] = Future()
        try:
            future.set_result(self.answer(call))
        except Exception as error:  # it is the answer
            future.set_exception(error)
        return future


@contextmanager
def started(
    make_session: MakeSession, dispatch: Dispatch | None = None, setup: Setup | None = None
) -> Generator[Session]:
    """A session that has been started; closed at the end."""
    session = make_session()
    try:
        result_of(session.start(setup or Setup(), dispatch or Host().dispatch))
        yield session
    finally:
        session.close()


def run(session: Session, code: str) -> CellResult:
    """What a cell comes to."""
    return result_of(session.execute(code))


def clean(session: Session, code: str) -> CellResult:
    """What a cell comes to that must not fail."""
    result = run(session, code)
    require(result.error is None, f"the cell {code!r} runs without error, not: {result.text}")
    return result
