"""A run against a model server that knows what each request is for: a turn of the root or of a child, a sub-call, or
the drawing up of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

from tests.model_server import Outcome, Reply, Request
from tests.scripted import fields, turn

Part: TypeAlias = Literal["root", "sub", "child", "extract"]
PARTS: tuple[Part, ...] = ("root", "sub", "child", "extract")
CHILD_QUERY = "How many apples does the child count?"
SUB_PROMPT = "How many apples does the sub-LM count?"

ASK_SUB = f"""\
print("asking")
try:
    got = llm_query({SUB_PROMPT!r})
    kind = "text: " + got
except RuntimeError as error:
    kind = error.kind
item = llm_query_batched([{SUB_PROMPT!r}])[0]
SUBMIT(answer=f"{{kind}}, {{item if isinstance(item, str) else item.kind}}")
"""
ASK_CHILD = f"""\
try:
    got = "text: " + rlm_query({CHILD_QUERY!r}, "an apple")
except RuntimeError as error:
    got = error.kind
SUBMIT(answer=got)
"""


def part_of(request: Request) -> Part:
    """What a request is for."""
    messages = request.body["messages"]
    system = _text(messages[0]) if messages[0]["role"] in ("system", "developer") else ""
    if "transcript" in system and "[[ ## code ## ]]" not in system:
        return "extract"
    if "[[ ## code ## ]]" not in system:
        return "sub"
    return "child" if any(CHILD_QUERY in _text(message) for message in messages[:2]) else "root"


def turn_of(request: Request) -> int:
    """The number of the turn that is asked for."""
    found = re.findall(r"\[Turn (\d+) of", request.said)
    return int(found[-1]) if found else 0


@dataclass
class Stage:
    """Answers each part of a run with its own function of the turn's number.

    Args:
        parts: What a part is answered with; by default every part does its work.
        is_retried: Whether dspy's own second attempts are wanted.
    """

    parts: dict[Part, Callable[[int], Outcome]] = field(default_factory=dict[Part, Callable[[int], Outcome]])
    is_retried: bool = False

    def __call__(self, request: Request) -> Outcome:
        part = part_of(request)
        return self.parts.get(part, partial(work, part))(turn_of(request))


def work(part: Part, number: int) -> Reply:
    """What a part answers where it does its work."""
    if part == "root":
        return Reply(turn("print('found 42')" if number == 1 else "SUBMIT(answer='42')"))
    return _WORKS[part]


_WORKS: dict[Part, Reply] = {
    "sub": Reply("seven"),
    "child": Reply(turn("SUBMIT(answer='one')")),
    "extract": Reply(fields(answer="drawn up")),
}


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
