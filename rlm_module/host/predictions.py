"""`predict` and `predict_batched`: sub-calls with typed inputs and outputs, in types that generated code defined."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dspy
from dspy.signatures.signature import make_signature

from rlm_module.errors import SubcallError
from rlm_module.host.calls import Calls, OpenCall
from rlm_module.host.queries import batched
from rlm_module.host.subcalls import Models, as_subcall_error, is_async_only, reply_text
from rlm_module.host.typed import plain_inputs, plain_outputs, signature_from
from rlm_module.prompting.adapters import outputs_adapter
from rlm_module.signatures.sub_call import sub_call_signature


def _predict(  # a template
    signature: str, instructions: str | None = None, model: str | None = None, **inputs: Any
) -> Any:
    """Asks a sub-LM for typed fields: `predict("text -> items: list[Item]", text=chunk).items`, where Item is a class
    of yours, a builtin type or a Literal. Raises SubcallError where it fails.
    """


def _predict_batched(  # a template, too
    signature: str, rows: list[dict[str, Any]], instructions: str | None = None, model: str | None = None
) -> list[Any]:  # pyright: ignore[reportReturnType]
    """The same for many rows of inputs at once; answers come in order, with a SubcallError for each that failed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a typed sub-call asks for, the same for all rows of a batch.

    Args:
        task: Its signature.
        model: The LM by name; None for that of sub-calls.
        config: Options of the LM call.
    """

    task: type[dspy.Signature]
    model: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    def predictor(self) -> dspy.Predict:
        """What asks for it."""
        return dspy.Predict(self.task, **self.config)


class Predictions:
    """Offers and answers `predict` and `predict_batched`.

    Args:
        calls: Whose threads, ledger and context to use.
        models: The LMs they may go to.
    """

    def __init__(self, calls: Calls, models: Models) -> None:
        self._calls = calls
        self._models = models
        # A dspy tool, so that callbacks and status messages tell of these calls as of any other.
        self._tool = dspy.Tool(self._ask, name="predict", desc="Asks a sub-LM for typed fields.")
        calls.add("predict", _predict, self._single, is_ahead=True, is_typed=True)
        calls.add("predict_batched", _predict_batched, self._batch, is_remade=True, is_typed=True)

    def start(self, opened: OpenCall, asked: Asked, inputs: Any) -> Future[Any]:
        """Starts a typed sub-call.

        Args:
            opened: The call that wants it.
            asked: What is asked for.
            inputs: By name, as they came out of the sandbox.

        Returns:
            A future of its outputs as plain values.

        Raises:
            SubcallError: If the inputs don't fit, there is no such LM, or no sub-call is left.
        """
        shown, lm = plain_inputs(inputs, asked.task), self._models.find(asked.model)
        is_taken = self._calls.take_allowance(opened)
        if is_async_only(lm):
            return self._calls.on_loop(partial(self._apredict, opened, asked, shown), is_taken=is_taken)
        return self._calls.in_pool(partial(self._predict, opened, asked, shown), is_taken=is_taken)

    def _single(self, opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        given = dict(zip(("signature", "instructions", "model"), args, strict=False)) | kwargs
        described, instructions, model = (given.pop(name, None) for name in ("signature", "instructions", "model"))
        asked = self._asked(described, instructions, model)
        # The sandbox's own half puts the inputs aside, since one of them may be called `model`.
        inputs = given.pop("inputs") if isinstance(described, dict) else given
        return self.start(opened, asked, inputs)

    def _batch(self, opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        given = dict(zip(("signature", "rows", "instructions", "model"), args, strict=False)) | kwargs
        asked = self._asked(given.get("signature"), given.get("instructions"), given.get("model"))
        shared = {name: given.get(name) for name in ("signature", "instructions", "model")}
        return batched(self._calls, opened, "predict", given.get("rows"), partial(self._row, asked), **shared)

    def _asked(self, described: Any, instructions: Any, model: Any) -> Asked:
        self._models.find(model)
        return Asked(sub_call_signature(_task(described, instructions), self._models.guidance), model)

    def _row(self, asked: Asked, inputs: Any) -> Callable[[OpenCall], Future[Any]]:
        return lambda opened: self.start(opened, asked, inputs)

    def _predict(self, opened: OpenCall, asked: Asked, inputs: Mapping[str, Any]) -> dict[str, Any]:
        account = self._calls.account(opened, "sub", instead=self._models.find(asked.model))
        try:
            with account.scope():
                return self._tool(asked=asked, inputs=inputs)
        except Exception as error:
            raise as_subcall_error(error) from error

    async def _apredict(self, opened: OpenCall, asked: Asked, inputs: Mapping[str, Any]) -> dict[str, Any]:
        account = self._calls.account(opened, "sub", instead=self._models.find(asked.model))
        try:
            with account.scope(), _alone(), _named_failures():
                return plain_outputs(await asked.predictor().acall(**inputs), asked.task)
        except Exception as error:
            raise as_subcall_error(error) from error

    def _ask(self, asked: Any, inputs: Any) -> Any:
        with _alone(), _named_failures():
            return plain_outputs(asked.predictor()(**inputs), asked.task)


def _alone() -> Any:
    """Optimizers read the trace, and listeners the stream, to learn of the program's own predictors; these calls are
    the model's. A reply that does not parse is a typed failure, not a second call.
    """
    return dspy.context(trace=None, send_stream=None, adapter=outputs_adapter())


@contextmanager
def _named_failures() -> Generator[None]:
    """A reply that was refused or cut short does not parse either, but that is not what is wrong with it."""
    try:
        yield
    except dspy.AdapterParseError as error:
        reply_text(error.lm_response or "", getattr(dspy.settings.lm, "last_entry", None))
        raise


def _task(described: Any, instructions: Any) -> type[dspy.Signature]:
    """The signature: as the sandbox described it, or as text out of an interpreter that cannot.

    Raises:
        SubcallError: If it makes no sense.
    """
    if not isinstance(described, str):
        return signature_from(described, instructions)
    try:
        return make_signature(described, instructions)
    except (ValueError, TypeError, SyntaxError) as error:
        raise SubcallError("invalid", f"the signature {described[:200]!r} cannot be read ({error})") from None
