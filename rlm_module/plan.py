"""What an RLM is made of, with everything resolved that may depend on settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import dspy
from dspy.primitives.code_interpreter import CodeInterpreter

from rlm_module.budget import Budget
from rlm_module.host.children import ChildTask
from rlm_module.host.subcalls import Models, model_name
from rlm_module.host.tools import HostTool, type_text
from rlm_module.signatures.act import STRATEGY

LIMITS = ("max_iters", "max_llm_calls", "max_output_chars", "max_depth")
OPTIONS = ("concurrency", "tool_seconds", "compact_at")
_CLAMPED = ("max_iters", "max_output_chars")


@dataclass(frozen=True, slots=True)
class Predictors:
    """What speaks for an RLM.

    Args:
        act: Chooses the next cell.
        act_signature: Its signature, to which the contract is appended; None where it takes none.
        extract: Draws up an answer where none was submitted.
    """

    act: Callable[..., Any]
    act_signature: type[dspy.Signature] | None
    extract: Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An RLM, ready to run. Children get their parent's plan, but for the task.

    Args:
        task: Its signature.
        inputs: A value for each of the task's inputs.
        predictors: What speaks for it.
        child_predictors: Makes those of a child with another task.
        factory: Makes the interpreter.
        tools: The user's tools by name.
        root_lm: The LM of a child's turns; None for the predictor's own, or the one that dspy is configured with.
        models: Sub-LMs; None for a run without sub-calls and sub-agents.
        max_depth: Depth at which there are sub-LM calls only.
        max_iters: Turns.
        max_llm_calls: Sub-calls and turns of children.
        max_output_chars: Characters of a cell's output that are shown.
        concurrency: Sub-calls in flight.
        tool_seconds: Longest time a tool may take.
        verbose: Whether turns are logged.
        budget: What the tree may spend.
        strong_lm: The LM that takes the turn after three cells in a row that failed; None for none.
        compact_at: Share of the root LM's window at which older turns are shortened.
        journal: Folder in which runs are recorded; None to keep them in memory only.
    """

    task: type[dspy.Signature]
    inputs: Mapping[str, Any]
    predictors: Predictors
    child_predictors: Callable[[type[dspy.Signature]], Predictors]
    factory: Callable[[], CodeInterpreter]
    tools: Mapping[str, HostTool]
    root_lm: Any = None
    models: Models | None
    max_depth: int
    max_iters: int
    max_llm_calls: int
    max_output_chars: int
    concurrency: int
    tool_seconds: float
    verbose: bool
    budget: Budget
    strong_lm: Any
    compact_at: float
    journal: Path | None

    @property
    def lms(self) -> dict[str, Any]:
        """Every LM that the tree may call, by what it is for."""
        own = {"root": self.lm_of(self.predictors.act), "extract": self.lm_of(self.predictors.extract)}
        subs = {"sub": self.models.default, **self.models.named} if self.models else {}
        strong = {"escalated": self.strong_lm} if self.strong_lm is not None else {}
        return {**own, **subs, **strong}

    def lm_of(self, predictor: Callable[..., Any]) -> Any:
        """The LM that one of its predictors asks; None if there is none."""
        return self.root_lm or getattr(predictor, "lm", None) or dspy.settings.lm

    def for_child(self, child: ChildTask) -> Plan:
        """The plan of a child: this one, with its task, within these limits."""
        assert self.models is not None
        options = child.options
        limits = {name: min(options[name], getattr(self, name)) for name in _CLAMPED if name in options}
        names = {str(getattr(tool, "name", tool)) for tool in options.get("tools", self.tools.values())}
        return replace(
            self,
            task=child.task,
            inputs=dict(child.inputs),
            predictors=self.child_predictors(child.task),
            root_lm=self.models.find(child.model),
            verbose=bool(options.get("verbose", self.verbose)),
            tools={name: tool for name, tool in self.tools.items() if name in names - set(child.task.fields)},
            **limits,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What the record of a run keeps of it, so that the run can be resumed, in words and numbers."""
        signature, sub = self.predictors.act_signature, self.models.default if self.models else None
        learned = signature is not None and signature.instructions != STRATEGY
        is_worded = any(tool.description for tool in self.tools.values()) or bool(self.models and self.models.guidance)
        return {
            **{name: getattr(self, name) for name in (*LIMITS, *OPTIONS)},
            "sub_lm": None if sub is None or sub is self.lms["root"] else model_name(sub),
            "has_learned": learned or is_worded or bool(getattr(self.predictors.act, "demos", None)),
            "tools": sorted(self.tools),
            "types": sorted({name for info in self.task.fields.values() for name in _own_types(info.annotation)}),
            "models": sorted(self.models.named) if self.models else [],
            "budget": asdict(self.budget),
        }


def task_text(task: type[dspy.Signature]) -> str:
    """A signature as a string with types, such as "context: str -> answer: int"."""
    sides = (task.input_fields, task.output_fields)
    return " -> ".join(", ".join(f"{name}: {type_text(f.annotation)}" for name, f in side.items()) for side in sides)


def _own_types(annotation: Any) -> Iterator[str]:
    """Names of the classes in a type that a signature written as a string does not know."""
    if isinstance(annotation, type) and annotation.__module__ not in ("builtins", "typing", "types"):
        yield annotation.__name__
    for argument in get_args(annotation):
        yield from _own_types(argument)
