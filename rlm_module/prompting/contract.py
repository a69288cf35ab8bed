"""What the model must know to use the REPL of a run. It is composed for each run and never stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dspy
import pydantic

from rlm_module.host.calls import Function
from rlm_module.host.tools import HostTool, signature_text, type_text
from rlm_module.prompting.previews import field_notes

_QUERIES = ("llm_query", "llm_query_batched", "predict", "predict_batched")
_CHILDREN = ("rlm_query", "rlm_query_batched")
_OWN_AGENTS = (
    " Their signatures may use classes of yours as types, as text or as a class of `dspy.Signature`. The calls of a "
    "loop such as `[p(text=t).topic for t in texts]` run side by side."
)
_BUT = " but those that may be left out"


@dataclass(frozen=True, slots=True)
class Contract:
    """All that decides what a run's model is told of its REPL.

    Args:
        task: The RLM's signature.
        functions: Host functions that cells may call, by name.
        tools: Those of them that are the user's.
        models: Names that sub-calls take as `model`, each with its price in words.
        opens_children: Whether `rlm_query` opens child RLMs.
        max_iters: Turns.
        max_llm_calls: Sub-calls.
        max_output_chars: Characters of a cell's output that are shown.
        runtime: The interpreter's own rules.
        is_own_sandbox: Whether the interpreter is this package's, which can do more than dspy asks of one.
        has_sub_agents: Whether cells may `import dspy`.
    """

    task: type[dspy.Signature]
    functions: Mapping[str, Function]
    tools: Mapping[str, HostTool]
    models: Mapping[str, str]
    opens_children: bool
    max_iters: int
    max_llm_calls: int
    max_output_chars: int
    runtime: str
    is_own_sandbox: bool
    has_sub_agents: bool

    def text(self) -> str:
        """The contract, to be appended to the instructions of the root's signature."""
        parts = [
            self._repl(),
            self._outputs(),
            self._sub_lm(),
            self._children(),
            self._tools(),
            self._sub_agents(),
            self._limits(),
        ]
        return "\n\n".join(part for part in parts if part)

    def _repl(self) -> str:
        names = ", ".join(f"`{name}`" for name in self.task.input_fields)
        lines = [
            "The REPL",
            f"Each `code` you write runs as a cell of one Python session, in which {names} are already bound. What a "
            "cell prints, the value of its last expression and any traceback come back as the next request, up to "
            f"{self.max_output_chars:,} characters. Names you bind stay bound, also where a cell fails half-way.",
        ]
        if self.runtime:
            lines.append(self.runtime.strip())
        if self.is_own_sandbox and "SHOW_VARS" not in {*self.task.input_fields, *self.functions}:
            lines.append("`SHOW_VARS()` prints the variables with their types and sizes.")
        return "\n".join(lines)

    def _outputs(self) -> str:
        fields = self.task.output_fields
        call = ", ".join(f"{name}: {type_text(field.annotation)}" for name, field in fields.items())
        # Other interpreters may demand every output.
        optional = {name for name, field in fields.items() if self.is_own_sandbox and not field.is_required()}
        lines = [
            f"SUBMIT({call})",
            f"Ends the run with its answer; it takes all of them{_BUT * bool(optional)}, by name. A value of a wrong "
            "type is refused with the reason, and the run goes on.",
        ]
        for name, field in fields.items():
            notes = [*field_notes(name, field), *_schema_notes(field.annotation)]
            notes += ["May be left out."] if name in optional else []
            lines.append(f"- `{name}` ({type_text(field.annotation)}){': ' if notes else ''}{' '.join(notes)}")
        return "\n".join(lines)

    def _sub_lm(self) -> str:
        if "llm_query" not in self.functions:
            return ""
        lines = ["Sub-LMs"]
        lines += [_function_line(self.functions[name]) for name in _QUERIES if name in self.functions]
        if self.is_own_sandbox:
            lines.append(
                "A failed call raises SubcallError, which has `kind` and `message`. In a batch it stands in the place "
                "of the answer and is falsy, so `if answer` leaves it out. Inside a task of your own, "
                "`await llm_query.aio(prompt)` is the awaitable form, which every function here has."
            )
        else:
            lines.append(
                "A failed call raises an error. In a batch, a dict with `error` and `message` stands in its place."
            )
        if self.models:
            named = (f"{name!r} ({price})" if price else repr(name) for name, price in self.models.items())
            dollars = " (US dollars per million prompt / completion tokens)" if any(self.models.values()) else ""
            lines.append(f"`model` may be one of{dollars}: {', '.join(named)}.")
        return "\n".join(lines)

    def _children(self) -> str:
        lines = [_function_line(self.functions[name]) for name in _CHILDREN if name in self.functions]
        if not self.opens_children or not lines:
            return ""
        note = (
            "A child RLM works in a REPL of its own, in which `context` is a variable: give it what is too large, or "
            "too hard, for one call of `llm_query`. Each of its turns and sub-calls counts as a sub-call."
        )
        return "\n".join(["Child RLMs", *lines, note])

    def _tools(self) -> str:
        lines = [_function_line(self.functions[name]) for name in self.tools if name in self.functions]
        return "\n".join(["Tools", *lines]) if lines else ""

    def _sub_agents(self) -> str:
        if not self.has_sub_agents:
            return ""
        child = (
            '; `dspy.RLM("context, query -> answer")` works in a REPL of its own and is by far the dearest'
            if self.opens_children
            else ""
        )
        return (
            "Sub-agents\n"
            "`import dspy` gives you predictors that run on the host, for steps with typed fields or tools of their "
            'own: `dspy.Predict("text -> topic, sentiment: float")(text=...)` and `dspy.ChainOfThought(...)` make one '
            "call; "
            '`dspy.ReActV2("question -> answer", tools=[...])` takes several steps with the tools above (not with '
            f"functions of yours){child}. Each of their LM calls counts as a sub-call. For a plain question "
            f"`llm_query` is enough.{_OWN_AGENTS if self.is_own_sandbox else ''}"
        )

    def _limits(self) -> str:
        calls = f" and {self.max_llm_calls:,} sub-LM calls" if "llm_query" in self.functions else ""
        asked = " `budget()` tells the same at any time." if "budget" in self.functions else ""
        return f"Limits\nThe run has at most {self.max_iters:,} turns{calls}; each request says what is left.{asked}"


def _function_line(function: Function) -> str:
    doc = " ".join(function.doc.split())
    return f"- `{function.name}{signature_text(function.signature)}`{': ' if doc else ''}{doc}"


def _schema_notes(annotation: Any) -> list[str]:
    """For a type that cells don't have, what a plain value for it looks like."""
    if not _holds_model(annotation):
        return []
    schema = pydantic.TypeAdapter(annotation).json_schema()
    return [f"Give plain dicts and lists that fit the JSON schema {json.dumps(schema, ensure_ascii=False)}"]


def _holds_model(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return True
    return any(_holds_model(argument) for argument in getattr(annotation, "__args__", ()))
