"""The user's tools: what they are called with, how they are documented, and which names they may have."""

from __future__ import annotations

import inspect
import keyword
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import dspy
from dspy.primitives.facade import is_reserved_sandbox_name

ToolT = TypeVar("ToolT", bound="Callable[..., Any] | dspy.Tool")

RESERVED_NAMES = frozenset({"llm_query", "llm_query_batched", "SUBMIT", "print"})
RESERVED_OUTPUTS = frozenset({"trajectory", "final_reasoning"})
_CONCURRENT = "__rlm_concurrent__"
_JSON_TYPES = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def concurrent(tool: ToolT) -> ToolT:
    """Marks a sync tool as safe to be called from several threads at once; use it as a decorator or a function.

    Args:
        tool: A function, method, callable object or `dspy.Tool`; it is returned.
    """
    func: Any = tool.func if isinstance(tool, dspy.Tool) else tool
    setattr(getattr(func, "__func__", func), _CONCURRENT, True)
    return tool  # pyright: ignore[reportReturnType] - dspy.Tool counts as callable, which confuses it


@dataclass(frozen=True, slots=True)
class HostTool:
    """A tool as generated code sees it.

    Args:
        tool: The dspy tool that validates the arguments and calls the function.
        signature: Its parameters with types and defaults, by its schema rather than by the function's own
            parameters, which for MCP tools are `(*args, **kwargs)`.
        is_async: Whether it has to be awaited.
        is_concurrent: Whether several calls may run at once.
        description: A learned one, in place of the tool's own.
    """

    tool: dspy.Tool
    signature: inspect.Signature
    is_async: bool
    is_concurrent: bool
    description: str | None = None

    @classmethod
    def of(cls, tool: dspy.Tool, description: str | None = None) -> HostTool:
        is_async = inspect.iscoroutinefunction(tool.func) or inspect.iscoroutinefunction(
            getattr(tool.func, "__call__", None)  # noqa: B004 - not whether it is callable, but which function that is
        )
        is_concurrent = bool(getattr(tool.func, _CONCURRENT, False))
        return cls(tool, _signature(tool), is_async, is_concurrent, description)

    @property
    def name(self) -> str:
        return str(self.tool.name)

    @property
    def doc(self) -> str:
        return inspect.cleandoc(self.description or self.tool.desc or "")

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name.

        Raises:
            TypeError: If there are more positional ones than parameters, or one comes twice.
        """
        names = list(self.signature.parameters)
        if len(args) > len(names):
            raise TypeError(f"{self.name}() takes {len(names)} arguments ({', '.join(names)}) but got {len(args)}")
        by_position = dict(zip(names, args, strict=False))
        twice = sorted(by_position.keys() & kwargs.keys())
        if twice:
            raise TypeError(f"{self.name}() got {', '.join(twice)} twice, by position and by name")
        return {**by_position, **kwargs}


def normalize_tools(tools: Iterable[Callable[..., Any] | dspy.Tool] | None) -> dict[str, dspy.Tool]:
    """The tools by name.

    Raises:
        TypeError: If they come as a dict or are a single one, or one of them cannot be called.
        ValueError: If two have the same name.
    """
    if callable(tools) or isinstance(tools, (Mapping, str)):
        raise TypeError("tools must be a list, as in tools=[lookup]; for another name use dspy.Tool(lookup, name=...).")
    found: dict[str, dspy.Tool] = {}
    for given in tools or ():
        if not isinstance(given, dspy.Tool) and not callable(given):
            raise TypeError(f"Tool {given!r} cannot be called; pass functions, callable objects or dspy.Tool objects.")
        tool = given if isinstance(given, dspy.Tool) else dspy.Tool(given)
        name = str(tool.name)
        if name in found:
            raise ValueError(f"There are two tools named {name!r}; rename one with dspy.Tool(function, name=...).")
        found[name] = tool
    return found


def check_names(task: type[dspy.Signature], tools: Iterable[str]) -> None:
    """Refuses names that the sandbox, the call or its result need for themselves.

    Raises:
        ValueError: Naming the clash.
    """
    names = list(tools)
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"Tool name {name!r} is not a Python identifier; rename it with dspy.Tool(..., name=...).")
        if is_reserved(name):
            raise ValueError(f"Tool name {name!r} is one the sandbox uses itself; rename the tool.")
    inputs = set(task.input_fields)
    if "interpreter_factory" in inputs:
        raise ValueError("Input name 'interpreter_factory' is an argument of the call itself; rename the input.")
    if taken := sorted(name for name in inputs if is_reserved(name)):
        raise ValueError(f"Input names {taken} are ones the sandbox uses itself; rename the inputs.")
    if taken := sorted(inputs.intersection(names)):
        raise ValueError(f"The names {taken} are used for both an input and a tool; rename one of each.")
    if taken := sorted(RESERVED_OUTPUTS.intersection(task.output_fields)):
        raise ValueError(f"Output names {taken} belong to the record of the run; rename the outputs.")


def is_reserved(name: str) -> bool:
    """Whether a name belongs to the sandbox, as in dspy.RLM."""
    return name in RESERVED_NAMES or bool(is_reserved_sandbox_name(name))


def type_text(annotation: Any) -> str:
    """A type as it is written in Python, without the modules that generated code need not know."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "None"
    if origin in (Union, types.UnionType):
        return " | ".join(type_text(argument) for argument in arguments)
    if origin is Literal:
        return f"Literal[{', '.join(repr(argument) for argument in arguments)}]"
    name = getattr(origin or annotation, "__name__", str(annotation))
    if not arguments:
        return str(name)
    shown = ("..." if argument is ... else type_text(argument) for argument in arguments)
    return f"{name}[{', '.join(shown)}]"


def signature_text(signature: inspect.Signature) -> str:
    """Parameters as they are written in Python, such as `(query: str, k: int = 5)`."""
    return f"({', '.join(_parameter_text(parameter) for parameter in signature.parameters.values())})"


def _parameter_text(parameter: inspect.Parameter) -> str:
    annotation, default = parameter.annotation, parameter.default
    kind = "" if annotation in (inspect.Parameter.empty, Any) else f": {type_text(annotation)}"
    if default is inspect.Parameter.empty:
        return f"{parameter.name}{kind}"
    return f"{parameter.name}{kind} = {default!r}" if kind else f"{parameter.name}={default!r}"


def _signature(tool: dspy.Tool) -> inspect.Signature:
    parameters = [_parameter(tool, name, schema) for name, schema in (tool.args or {}).items()]
    # Python wants parameters with a default last, MCP's schemas don't.
    parameters.sort(key=lambda parameter: parameter.default is not inspect.Parameter.empty)
    return inspect.Signature(parameters)


def _parameter(tool: dspy.Tool, name: str, schema: Mapping[str, Any]) -> inspect.Parameter:
    annotation = (tool.arg_types or {}).get(name, Any)
    if annotation is Any:
        annotation = _JSON_TYPES.get(str(schema.get("type")), Any)
    default = schema.get("default", inspect.Parameter.empty)
    if default is inspect.Parameter.empty and _is_optional_mcp(tool, name):
        default = None
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def _is_optional_mcp(tool: dspy.Tool, name: str) -> bool:
    """Whether a tool made from an MCP schema may leave an argument out: dspy notes the required ones in words."""
    notes = tool.arg_desc or {}
    described = notes.get(name, "")
    return tool.has_kwargs and bool(described) and not described.endswith("(Required)")
