"""How generated code calls the host: functions that ask and wait, or that can be awaited."""

from __future__ import annotations

import asyncio
from typing import Any

from rlm_module.errors import SubcallError
from rlm_module.sandbox.codec import decode
from rlm_module.sandbox.guest.ahead import Ahead
from rlm_module.sandbox.guest.host_function import HostFunction
from rlm_module.sandbox.guest.state import STATE
from rlm_module.sandbox.guest.typed import Described, parse


class HostCallable(HostFunction):
    """A function of the host to call as usual, or with `await f.aio(...)` to have many calls in flight."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request(args, kwargs)
        if not AHEAD.is_running:
            return self.answer(_ask(request))
        try:
            return self.answer(_finish(request) if self.ahead else _ask(request))
        except BaseException:
            AHEAD.failed()
            raise

    def answer(self, reply: Any) -> Any:
        """What a call returns or raises, from the bytes of the reply; None is an interrupt."""
        if reply is None:
            STATE.interrupted = True
            raise KeyboardInterrupt
        outcome, value = decode(reply.to_bytes())
        if outcome == "value":
            return value
        if isinstance(value, SubcallError):
            raise value
        raise RuntimeError(value)

    async def aio(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request(args, kwargs)
        async with STATE.places:
            STATE.in_flight += 1
            try:
                return self.answer(await STATE.wire.call(request))
            finally:
                STATE.in_flight -= 1


def _ask(request: str) -> Any:
    """Makes a call and waits for its reply."""
    if STATE.in_flight and STATE.ffi.can_run_sync():  # awaited calls go on while this one waits
        return STATE.ffi.run_sync(STATE.wire.call(request))
    return STATE.ask(request)


def _finish(request: str) -> Any:
    """The reply to a call that was started early, or else made now."""
    started = AHEAD.take(request)
    if started is None:
        return _ask(request)
    if not STATE.ffi.can_run_sync():
        AHEAD.give_up(started)
        return _ask(request)
    reply = STATE.wire.finish(started.id)
    started.run.asked()
    return STATE.ffi.run_sync(reply) if asyncio.isfuture(reply) else reply


def _may_run_ahead() -> bool:
    """Whether Python may wait for a promise, and no task would go on while it does."""
    if STATE.in_flight or not STATE.ffi.can_run_sync():
        return False
    loop = asyncio.get_event_loop()
    return not asyncio.all_tasks(loop) - {asyncio.current_task(loop)}


class Predict(HostCallable):
    """`predict`: describes the signature's types to the host, and makes instances of them of what it answers."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        described = self._described(args, kwargs)
        return self._typed(described, super().__call__(*args, **kwargs))

    def request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """See `HostFunction.request`."""
        given = self._given(args, kwargs)
        described = parse(given.pop("signature", None), STATE.namespace)
        return super().request((), {"signature": described.spec(), **self._sent(described, given)})

    async def aio(self, *args: Any, **kwargs: Any) -> Any:
        described = self._described(args, kwargs)
        return self._typed(described, await super().aio(*args, **kwargs))

    def _described(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Described:
        signature: Any = self._given(args, kwargs).get("signature")
        return parse(signature, STATE.namespace)

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        names = ("signature", "instructions", "model")
        if len(args) > len(names):
            raise TypeError(f"{self.__name__}() takes its inputs by name, as in predict('text -> topic', text=...)")
        return dict(zip(names, args, strict=False)) | kwargs

    def _sent(self, described: Described, given: dict[str, Any]) -> dict[str, Any]:
        options = {name: given.pop(name) for name in ("instructions", "model") if name in given}
        return {**options, "inputs": described.bind(given)}

    def _typed(self, described: Described, answer: Any) -> Any:
        return described.restore(answer)


class PredictBatched(Predict):
    """`predict_batched`: the same for many rows."""

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        names = ("signature", "rows", "instructions", "model")
        return dict(zip(names, args, strict=False)) | kwargs

    def _sent(self, described: Described, given: dict[str, Any]) -> dict[str, Any]:
        rows = given.pop("rows", None)
        if not isinstance(rows, (list, tuple)) or not all(isinstance(row, dict) for row in rows):
            raise TypeError("predict_batched() takes a list of dicts as rows, each with the inputs by name")
        return {**given, "rows": [described.bind(row) for row in rows]}

    def _typed(self, described: Described, answer: Any) -> Any:
        return [item if isinstance(item, SubcallError) else described.restore(item) for item in answer]


AHEAD = Ahead(lambda request: STATE.wire.start(request), lambda call: STATE.wire.drop(call), _may_run_ahead)


def host_callable(name: str, signature: str, doc: str, ahead: bool = False, typed: bool = False) -> HostCallable:
    """The function by which generated code calls one of the host."""
    kind = HostCallable if not typed else PredictBatched if name.endswith("_batched") else Predict
    return kind(name, signature, doc, ahead)
