"""What the model server answers in `fanout.py`: roots and children write set programs, sub-LMs take their time.

The input of an RLM names its program. All of this is picklable, since the server runs in a process of its own.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any

from tests.model_server import Outcome, Reply, Request
from tests.scripted import turn as cell

CALLS, CHAINED, IN_FLIGHT, BRANCHES, DEPTH = 100, 10, 32, 4, 3
CALL_SECONDS, HANG_SECONDS = 0.3, 60.0

_SUBMIT = "SUBMIT(answer=str(len(answers)))"
_PROGRAMS = {
    "loop": (f"lap()\nanswers = [llm_query(f'question {{n}}') for n in range({CALLS})]\nlap()\n{_SUBMIT}",),
    "short": (f"lap()\nanswers = [llm_query(f'question {{n}}') for n in range({CHAINED})]\nlap()\n{_SUBMIT}",),
    "batch": (f"lap()\nanswers = llm_query_batched([f'question {{n}}' for n in range({CALLS})])\nlap()\n{_SUBMIT}",),
    "chain": (
        "lap()\nlast, answers = 'question', []\n"
        f"while len(answers) < {CHAINED}:\n    last = llm_query(f'after {{last}}, {{len(answers)}}')\n"
        f"    answers.append(last)\nlap()\n{_SUBMIT}",
    ),
    "tree": (
        f"parts = rlm_query_batched([f'{{query}}.{{n}}' for n in range({BRANCHES})])\nprint(parts)",
        "SUBMIT(answer='+'.join(parts))",
    ),
    "hang": ("print('begun')", f"llm_query_batched([f'hang {{n}}' for n in range({IN_FLIGHT})])"),
}
_NAMED = re.compile(r"PROGRAM (?P<name>[a-z]+)(?P<where>[\d.]*)(?P<silent>!?)")


@dataclass(frozen=True, slots=True)
class FanoutModel:
    """Answers as the root, a child or a sub-LM, whichever is asked."""

    def __call__(self, request: Request) -> Outcome:
        messages: list[dict[str, Any]] = request.body["messages"]
        if len(messages) == 1:
            return _sub_reply(request.said)
        named = _NAMED.search(messages[1]["content"])
        if named is None:
            raise ValueError(f"no program is named in {messages[1]['content']!r}")
        if "`code`" not in messages[0]["content"]:  # the answer is to be drawn up
            return Reply("[[ ## answer ## ]]\nnone", latency=HANG_SECONDS if named["silent"] else 0.0)
        turn = sum(message["role"] == "assistant" for message in messages)
        latency = seconds_of(named["where"], turn) if named["name"] == "tree" else 0.0
        return Reply(cell(_PROGRAMS[named["name"]][turn]), latency=latency)


def seconds_of(where: str, turn: int = 0) -> float:
    """How long the tree's LM takes over a turn, or over a leaf: from 1 to 2 seconds, as a real one might.

    Args:
        where: The place in the tree, such as "0.3.1".
        turn: The turn, from 0.
    """
    return 1.0 + zlib.crc32(f"{where}/{turn}".encode()) / 2**32


def critical_path(where: str = "0") -> float:
    """The longest way through the tree below a node and back, in seconds of its LM calls alone."""
    if where.count(".") == DEPTH:
        return seconds_of(where)
    below = max(critical_path(f"{where}.{branch}") for branch in range(BRANCHES))
    return seconds_of(where, 0) + below + seconds_of(where, 1)


def _sub_reply(prompt: str) -> Reply:
    named = _NAMED.search(prompt)
    if named is not None:
        return Reply("leaf", latency=seconds_of(named["where"]))
    return Reply("ok", latency=HANG_SECONDS if prompt.startswith("hang") else CALL_SECONDS)
