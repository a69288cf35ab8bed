"""The sandbox's `dspy`: predictors that run on the host, each call of which is one call of it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from rlm_module.sandbox.agent_kinds import AGENT, KINDS, fault_of
from rlm_module.sandbox.guest.calling import HostCallable
from rlm_module.sandbox.guest.declared import Signature, described, input_field, output_field
from rlm_module.sandbox.guest.host_function import encoded
from rlm_module.sandbox.guest.shapes import shown
from rlm_module.sandbox.guest.state import STATE
from rlm_module.sandbox.record import Record


class Predictor(HostCallable):
    """A predictor of dspy, asked by its inputs' names: `dspy.Predict("text -> topic")(text=...).topic`.

    Args:
        signature: Text, or what `dspy.Signature` made; types in it may be classes of yours.
        *args: The options by their order, where dspy has one.
        instructions: Of the task; those of the signature where there are none.
        **options: See `KINDS`.
    """

    kind = ""

    def __init__(self, signature: Any = None, *args: Any, instructions: str | None = None, **options: Any) -> None:
        if self.kind not in KINDS:
            raise TypeError("this is no predictor; make a dspy.Predict or another one")
        options = self._by_name(args) | options
        if options.get("tools") is not None:
            options["tools"] = _tool_names(options["tools"])
        if fault := fault_of(self.kind, options):
            raise TypeError(fault)
        fields, own = described(signature, STATE.namespace)
        self._fields = fields.with_reasoning() if self.kind == "ChainOfThought" else fields
        told = instructions or own
        self._asked: dict[str, Any] = {
            "kind": self.kind,
            "instructions": told,
            "options": options,
            "signature": self._fields.spec(),
        }
        inputs, outputs = ([field.name for field in side] for side in (fields.inputs, fields.outputs))
        text = f"({', '.join(inputs)}) -> {', '.join(outputs)}"
        super().__init__(f"dspy.{self.kind}", text, told)
        # Predictors that take several steps may call tools of the user's, whose order may matter, and classes that
        # cells derive may do anything.
        self.ahead = self.kind in ("Predict", "ChainOfThought", "RLM") and type(self).__module__ == "dspy"

    def request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """See `HostFunction.request`. It holds all of the predictor, so that the host keeps none."""
        if args:
            raise TypeError(f"{self.__name__}{self._signature} takes its inputs by name; write {_usage(self._fields)}")
        # The inputs of an RLM become variables of its own, so they keep their types.
        inputs = self._fields.bind(kwargs, is_shown=self.kind != "RLM")
        return encoded(AGENT, (), {"inputs": inputs, **self._asked}, self.__name__)

    def answer(self, reply: Any) -> Any:
        """See `HostCallable.answer`: a record of the outputs, and of what else the predictor tells."""
        found = super().answer(reply)
        made = self._fields.restore(found)
        for name, value in dict.items(found):
            if not dict.__contains__(made, name):
                made[name] = value
        return made

    async def acall(self, **inputs: Any) -> Any:
        """The awaitable form, as in dspy."""
        return await self.aio(**inputs)

    def __repr__(self) -> str:
        return f"<{self.__name__}{self._signature}>"

    def _by_name(self, args: tuple[Any, ...]) -> dict[str, Any]:
        names = KINDS[self.kind] if self.kind in ("ReAct", "ReActV2", "CodeAct", "ProgramOfThought") else ()
        if len(args) > len(names):
            raise TypeError(f"dspy.{self.kind} takes its signature, and options by name: {', '.join(KINDS[self.kind])}")
        return dict(zip(names, args, strict=False))


def _usage(fields: Any) -> str:
    return f"({', '.join(f'{field.name}=...' for field in fields.inputs)})"


def _tool_names(tools: Any) -> Any:
    """The tools by name, for functions cannot leave the sandbox."""
    if not isinstance(tools, (list, tuple)):
        return tools
    return [_tool_name(tool) for tool in tools]


def _tool_name(tool: Any) -> str:
    if isinstance(tool, str):
        return tool
    if isinstance(tool, HostCallable) and not isinstance(tool, Predictor):
        return tool.__name__
    raise TypeError(f"{shown(tool)} is not a tool of the run, and only those can be given to predictors; leave it out")


class Module:
    """A program of predictors: derive from it, define `forward`, and call the instance."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        forward: Any = getattr(self, "forward", None)
        if forward is None:
            raise TypeError(f"{type(self).__name__} has no `forward`; define it")
        return forward(*args, **kwargs)

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """Awaits `aforward`; without one, it is the plain call."""
        forward: Any = getattr(self, "aforward", None)
        return self(*args, **kwargs) if forward is None else await forward(*args, **kwargs)


class _PredictionType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Record) and object.__getattribute__(instance, "type_name") == "Prediction"

    def __call__(cls, **fields: Any) -> Record:
        return Record("Prediction", fields)


class Prediction(metaclass=_PredictionType):
    """Named fields, by attribute and by key: what predictors return."""


def tool(func: Any, **about: Any) -> Any:
    """The tool itself: a predictor knows it by its name."""
    return func


def _stand_in() -> ModuleType:
    module = ModuleType("dspy", "Predictors that run on the host, for generated code.")
    offered: dict[str, Any] = {
        **{kind: type(kind, (Predictor,), {"kind": kind, "__module__": "dspy"}) for kind in KINDS},
        "Module": Module,
        "Signature": Signature,
        "InputField": input_field,
        "OutputField": output_field,
        "Prediction": Prediction,
        "Tool": tool,
    }
    names = ", ".join(offered)

    def missing(name: str) -> Any:
        raise AttributeError(f"the sandbox's dspy has no {name!r}; it has {names}")

    # Python puts this behind the name that `from dspy import ...` did not find.
    module.__dict__.update(offered, __getattr__=missing, __all__=list(offered), __file__=f"the sandbox's: {names}")
    return module


DSPY = _stand_in()


def offer(names: dict[str, Any]) -> None:
    """Puts `dspy` in the place of the host function behind it, if the host has that.

    Args:
        names: What cells are about to find, by name.
    """
    if names.pop(AGENT, None) is not None:
        names["dspy"] = sys.modules["dspy"] = DSPY
