"""The predictors of an RLM. They save what was learned, strategy and demos, and nothing else."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.signatures.signature import make_signature
from pydantic_core import to_jsonable_python

from rlm_module.errors import InputError
from rlm_module.lms.accounts import current_account
from rlm_module.prompting.adapters import advice_for, current_adapter, outputs_adapter, turn_adapter
from rlm_module.prompting.demos import is_demonstration, plain_demos
from rlm_module.prompting.shown import encodable
from rlm_module.runs import mark_run
from rlm_module.signatures.compact import Compact

_UNFIT = "the file is damaged or of another version: compile this program anew and save that."


@dataclass(frozen=True, slots=True)
class _MadeSignature:
    """A signature that pickle cannot find by name, since it was made at run time: what it takes to make it again."""

    name: str
    instructions: str
    fields: Mapping[str, Any]

    def restored(self) -> type[dspy.Signature]:
        return make_signature(dict(self.fields), self.instructions, self.name)


def pack_signature(signature: type[dspy.Signature]) -> type[dspy.Signature] | _MadeSignature:
    """The signature in a form that pickle takes, whether or not it is a class in a module."""
    module = sys.modules.get(signature.__module__)
    if getattr(module, signature.__qualname__, None) is signature:
        return signature
    fields = {name: (field.annotation, field) for name, field in signature.fields.items()}
    return _MadeSignature(signature.__name__, signature.instructions, fields)


def unpack_signature(packed: Any) -> type[dspy.Signature]:
    """The signature that `pack_signature` packed."""
    return packed.restored() if isinstance(packed, _MadeSignature) else packed


class LearnedPredict(dspy.Predict):
    """A `dspy.Predict` whose state is its instructions and its demos: no LM, no limits, no training data."""

    def _adapter(self) -> dspy.Adapter:
        """What formats requests and parses replies."""
        return current_adapter()

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """What was learned, as plain JSON."""
        return {"instructions": self.signature.instructions, "demos": self._plain_demos()}

    def load_state(self, state: Any, *, allow_unsafe_lm_state: bool = False) -> LearnedPredict:
        """Takes over what `dump_state` gave.

        Raises:
            InputError: If the state is that of another predictor, as dspy.RLM saves it, or a part is of a wrong type.
        """
        if not isinstance(state, Mapping) or set(state) != {"instructions", "demos"}:
            raise InputError(
                "This file holds the state of another module, such as dspy.RLM, whose prompt is bound to its own "
                "limits and tools; compile the rlm_module.RLM anew and save that."
            )
        instructions, demos = state["instructions"], state["demos"]
        if not isinstance(instructions, str):
            raise InputError(f"The saved instructions are a {type(instructions).__name__}, not a text; {_UNFIT}")
        if not isinstance(demos, list) or not all(self._is_demo(demo) for demo in demos):
            raise InputError(f"The saved demos are not a list of demonstrations as `save` writes them; {_UNFIT}")
        self.signature = self.signature.with_instructions(instructions)
        self.demos = [dict(demo) for demo in demos]
        return self

    def _is_demo(self, demo: Any) -> bool:
        return isinstance(demo, Mapping) and all(isinstance(name, str) for name in demo)

    def _plain_demos(self) -> list[dict[str, Any]]:
        names = self.signature.fields
        demos = [{name: demo[name] for name in names if name in demo} for demo in self.demos]
        return [to_jsonable_python(demo, fallback=str) for demo in demos if demo.keys() & self.signature.input_fields]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "signature": pack_signature(self.signature)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "signature": unpack_signature(state["signature"])})

    def forward(self, **kwargs: Any) -> dspy.Prediction:
        """Asks the LM, once."""
        given = self._advised(kwargs)
        with dspy.context(adapter=self._adapter()):
            return _of_run(super().forward(**self._charged(given)))

    async def aforward(self, **kwargs: Any) -> dspy.Prediction:
        """Asks the LM, once, and awaits it."""
        given = self._advised(kwargs)
        with dspy.context(adapter=self._adapter()):
            return _of_run(await super().aforward(**self._charged(given)))

    def _advised(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """With advice from an earlier attempt, which stays out of what is learned and out of the trace."""
        advice = advice_for(self.signature)
        if not advice:
            return kwargs
        signature = kwargs.get("signature", self.signature)
        told = f"{signature.instructions}\n\nAdvice from an earlier attempt at this task:\n{encodable(advice)}"
        return {**kwargs, "signature": signature.with_instructions(told)}

    def _charged(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Within a run its LM is one whose calls are charged to the run."""
        account, lm = current_account(), kwargs.get("lm") or self.lm or dspy.settings.lm
        return kwargs if account is None or lm is None else {**kwargs, "lm": account.lm(lm)}


def _of_run(prediction: dspy.Prediction) -> dspy.Prediction:
    account = current_account()
    if account is not None and account.journal is not None:
        mark_run(prediction, account.journal)
    return prediction


class ActPredict(LearnedPredict):
    """Asks for the next cell. Its demos are whole trajectories, and their turns stand in the conversation before those
    of the run, the first ones first and as many as fit (see `demos.DEMO_TOKENS`).
    """

    def _adapter(self) -> dspy.Adapter:
        return turn_adapter()

    def _plain_demos(self) -> list[dict[str, Any]]:
        return list(plain_demos(self.demos))

    def _is_demo(self, demo: Any) -> bool:
        return is_demonstration(demo)


class CompactPredict(LearnedPredict):
    """Sums up older turns of a run. It is no part of a program: neither optimizers nor streams see what it is asked."""

    def __init__(self) -> None:
        super().__init__(Compact)

    def forward(self, **kwargs: Any) -> dspy.Prediction:
        with dspy.context(trace=None, send_stream=None):
            return super().forward(**kwargs)

    async def aforward(self, **kwargs: Any) -> dspy.Prediction:
        with dspy.context(trace=None, send_stream=None):
            return await super().aforward(**kwargs)


class ExtractPredict(LearnedPredict):
    """Draws up the outputs of a run that ended without an accepted answer."""

    def _adapter(self) -> dspy.Adapter:
        return outputs_adapter()


def asks_an_lm(predictor: Any) -> bool:
    """Whether it is a predictor of dspy's that needs an LM; one with a `forward` of its own may not."""
    kind: Any = type(predictor)
    return (
        isinstance(predictor, dspy.Predict)
        and kind.forward in (ActPredict.forward, dspy.Predict.forward)
        and kind.aforward in (ActPredict.aforward, dspy.Predict.aforward)
    )


def takes_signature(predictor: Callable[..., Any]) -> bool:
    """Whether a predictor, which may be any callable, can be given a signature with each call."""
    # Taken from the class, since dspy warns of whoever takes a module's `forward`.
    called: Any = getattr(type(predictor), "forward", predictor) if isinstance(predictor, dspy.Module) else predictor
    try:
        parameters = inspect.signature(called).parameters
    except (TypeError, ValueError):
        return True
    return "signature" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
