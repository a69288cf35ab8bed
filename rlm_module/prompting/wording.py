"""Texts of an RLM that may be learned beside its strategy: how its tools are described, and what sub-LMs are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dspy.predict.parameter import Parameter

from rlm_module.errors import InputError


class Wording(Parameter):
    """A parameter of its own, so that optimizers of instructions leave it alone and `save` keeps it.

    Args:
        tools: Descriptions by tool name, each in place of the tool's own. Those of tools that an RLM does not have are
            kept and not shown.
        sub_calls: What sub-LMs are told before each prompt and each typed sub-call; empty for nothing.
    """

    def __init__(self, tools: Mapping[str, str] | None = None, sub_calls: str = "") -> None:
        self.tools = dict(tools or {})
        self.sub_calls = sub_calls

    def __bool__(self) -> bool:
        return bool(self.tools or self.sub_calls)

    def reset(self) -> None:
        """Forgets what was learned."""
        self.tools, self.sub_calls = {}, ""

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """What was learned, as plain JSON."""
        return {"tools": dict(self.tools), "sub_calls": self.sub_calls}

    def load_state(self, state: Any) -> None:
        """Takes over what `dump_state` gave.

        Raises:
            InputError: If the state is something else's.
        """
        found: Any = state if isinstance(state, Mapping) else {}
        tools, sub_calls = found.get("tools"), found.get("sub_calls")
        if set(found) != {"tools", "sub_calls"} or not _are_texts(tools) or not isinstance(sub_calls, str):
            raise InputError(
                "This file holds no wording of an RLM where one should stand; it is another program's, or another "
                "version's: compile this program anew and save that."
            )
        self.tools = dict(tools)
        self.sub_calls = sub_calls


def _are_texts(found: Any) -> bool:
    return isinstance(found, Mapping) and all(isinstance(text, str) for pair in found.items() for text in pair)
