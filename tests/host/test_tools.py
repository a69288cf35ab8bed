from __future__ import annotations

from typing import Any, Literal

import dspy
import pytest
from dspy.signatures import make_signature

from rlm_module import RLM
from rlm_module.host.tools import HostTool, check_names, concurrent, normalize_tools, signature_text, type_text


def lookup(query: str, k: int = 5, *, tags: list[str] | None = None) -> str:
    """Finds things."""
    return query * k


async def fetch(url: str) -> str:
    return url


class Caller:
    async def __call__(self, x: int) -> int:
        return x

    def method(self, x: int) -> int:
        return x


def _mcp_tool() -> dspy.Tool:
    async def func(*args: Any, **kwargs: Any) -> Any:
        return kwargs

    return dspy.Tool(
        func,
        name="search",
        desc="Searches.",
        args={"limit": {"type": "integer"}, "query": {"type": "string"}},
        arg_types={"limit": int, "query": str},
        arg_desc={"limit": "How many", "query": "What (Required)"},
    )


def test_parameters_are_shown_with_types_and_defaults() -> None:
    tool = HostTool.of(dspy.Tool(lookup))
    assert signature_text(tool.signature) == "(query: str, k: int = 5, tags: list[str] | None = None)"
    assert tool.doc == "Finds things."


def test_an_mcp_shaped_tool_shows_its_schema_and_takes_positional_arguments_as_shown() -> None:
    tool = HostTool.of(_mcp_tool())
    assert tool.is_async
    assert signature_text(tool.signature) == "(query: str, limit: int = None)"
    assert tool.bind(("cats", 3), {}) == {"query": "cats", "limit": 3}


def test_positional_arguments_get_names() -> None:
    tool = HostTool.of(dspy.Tool(lookup))
    assert tool.bind(("a", 2), {"tags": ["t"]}) == {"query": "a", "k": 2, "tags": ["t"]}
    with pytest.raises(TypeError, match="takes 3 arguments"):
        tool.bind((1, 2, 3, 4), {})
    with pytest.raises(TypeError, match="got k twice"):
        tool.bind(("a", 2), {"k": 3})


def test_async_functions_and_objects_are_recognised() -> None:
    assert HostTool.of(dspy.Tool(fetch)).is_async
    assert HostTool.of(dspy.Tool(Caller(), name="caller")).is_async
    assert not HostTool.of(dspy.Tool(lookup)).is_async


def test_the_concurrent_mark_works_on_functions_methods_and_tools() -> None:
    @concurrent
    def free(x: int) -> int:
        return x

    assert HostTool.of(dspy.Tool(free)).is_concurrent
    assert HostTool.of(concurrent(dspy.Tool(lambda x: x, name="made"))).is_concurrent
    assert HostTool.of(dspy.Tool(concurrent(Caller().method))).is_concurrent
    assert not HostTool.of(dspy.Tool(lookup)).is_concurrent


def test_tools_are_collected_by_name() -> None:
    assert list(normalize_tools([lookup, dspy.Tool(fetch, name="get")])) == ["lookup", "get"]
    assert normalize_tools(None) == {}


@pytest.mark.parametrize("tools", [{"lookup": lookup}, lookup, dspy.Tool(lookup), "lookup"])
def test_tools_that_are_no_list_are_refused(tools: Any) -> None:
    with pytest.raises(TypeError, match=r"must be a list, as in tools=\[lookup\]"):
        normalize_tools(tools)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be called"):
        normalize_tools([3])  # pyright: ignore[reportArgumentType]


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two tools named 'lookup'"):
        normalize_tools([lookup, dspy.Tool(fetch, name="lookup")])


@pytest.mark.parametrize(
    ("signature", "tools", "message"),
    [
        ("q -> a", ["not a name"], "not a Python identifier"),
        ("q -> a", ["for"], "not a Python identifier"),
        ("q -> a", ["llm_query"], "sandbox uses itself"),
        ("q -> a", ["_dspy_x"], "sandbox uses itself"),
        ("SUBMIT -> a", [], "sandbox uses itself"),
        ("interpreter_factory -> a", [], "argument of the call"),
        ("lookup -> a", ["lookup"], "both an input and a tool"),
        ("q -> trajectory", [], "belong to the record"),
        ("q -> final_reasoning", [], "belong to the record"),
    ],
)
def test_reserved_and_clashing_names_are_refused(signature: str, tools: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_names(make_signature(signature), tools)  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.mark.parametrize("signature", ["budget, SHOW_VARS -> usage", "q -> run", "q -> reasoning, code"])
def test_other_names_of_ours_are_free(signature: str) -> None:
    rlm = RLM(signature, tools=[dspy.Tool(lookup, name="predict")])
    assert rlm.tools["predict"].func is lookup
    assert rlm.signature.equals(make_signature(signature))


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (str | None, "str | None"),
        (Literal["a", 1], "Literal['a', 1]"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Any, "Any"),
    ],
)
def test_types_are_written_as_in_python(annotation: Any, text: str) -> None:
    assert type_text(annotation) == text
