"""Which of many trajectories become demonstrations: the best, the briefest among equals, and no two the same."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rlm_module.prompting.demos import DEMO_TOKENS, Demonstration, tokens_of

_NAME = re.compile(r"[A-Za-z_]\w*|\d+|[^\w\s]")
_BREVITY_STEP = 1.5
_WORDS_OF_TASK = 200


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A demonstration that might be chosen.

    Args:
        demo: It.
        score: That of the program's answer.
        example: The number of the example that it came from.
    """

    demo: Demonstration
    score: float
    example: int

    @property
    def tokens(self) -> int:
        return tokens_of(self.demo)


def chosen_few(trajectories: Sequence[Trajectory], count: int) -> list[Trajectory]:
    """At most `count` of them, all of which fit into a prompt together, the most useful first.

    Higher scores come first, then shorter ones (lengths within a factor of 1.5 count as equal), and among equals the
    one that differs most from those chosen already, in its task and its code. One that does not differ is not taken.
    """
    left, found, room = list(trajectories), list[tuple[Trajectory, frozenset[str]]](), DEMO_TOKENS
    marks = {id(one): _marks(one.demo) for one in left}
    while left and len(found) < count:
        new = {id(one): min((_distance(marks[id(one)], other) for _, other in found), default=1.0) for one in left}
        left = [one for one in left if new[id(one)] > 0 and one.tokens <= room]
        if not left:
            break
        best = max(left, key=lambda one: (round(one.score, 6), -_length(one), new[id(one)], -one.tokens, -one.example))
        found.append((best, marks[id(best)]))
        room -= best.tokens
        left.remove(best)
    return [one for one, _ in found]


def _length(trajectory: Trajectory) -> int:
    return int(math.log(1 + trajectory.tokens, _BREVITY_STEP))


def _marks(demo: Demonstration) -> frozenset[str]:
    """What tells a trajectory from others: the words of its task, and the words of its code."""
    turns = demo["turns"]
    task = turns[0]["request"].split()[-_WORDS_OF_TASK:]
    code = _NAME.findall("\n".join(turn["code"] for turn in turns))
    return frozenset([*(f"task {word}" for word in task), *code])


def _distance(one: frozenset[str], other: frozenset[str]) -> float:
    """From 0, the same, to 1, nothing in common."""
    together = len(one | other)
    return 1 - len(one & other) / together if together else 0.0
