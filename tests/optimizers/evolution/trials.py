"""A search whose programs and reflection model are tables, to see what is tried in which order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import dspy

from rlm_module.optimizers.evolution.blame import Blame
from rlm_module.optimizers.evolution.briefs import briefs
from rlm_module.optimizers.evolution.cases import Case, cases
from rlm_module.optimizers.evolution.components import Components
from rlm_module.optimizers.evolution.evaluations import Evaluations
from rlm_module.optimizers.evolution.evidence import Evidence
from rlm_module.optimizers.evolution.options import Mark
from rlm_module.optimizers.evolution.pool import Step
from rlm_module.optimizers.evolution.proposing import Proposer
from rlm_module.optimizers.evolution.pruning import Pruner
from rlm_module.optimizers.evolution.rollouts import Rollout, Rollouts
from rlm_module.optimizers.evolution.search import Search
from rlm_module.optimizers.evolution.stopping import Allowance
from tests.optimizers.hidden_advice import World

OPEN, SOLVED = cases([dspy.Example(q=name).with_inputs("q") for name in ("open", "solved")], "trainset")
SEED = "Seed."


class Trials:
    """A search for a better text than the seed.

    Args:
        scores: Of each text on the example that is open; the solved one stays solved.
        replies: What the reflection model makes of a text, time after time; a text that is not named stays as it is.
        harm: Texts that fail on the solved example.
        max_runs: The most program runs.
    """

    def __init__(
        self,
        scores: Mapping[str, float],
        replies: Mapping[str, list[str]] | None = None,
        *,
        harm: tuple[str, ...] = (),
        max_runs: int | None = None,
    ) -> None:
        self.scores, self.replies, self.harm = scores, replies or {}, harm
        self.runs: list[tuple[str, str]] = []
        """The program runs, as texts and examples."""
        self.drawn: list[str] = []
        """The texts that the reflection model was asked to better."""
        self.requests: list[str] = []
        student = World().program()
        components, mark = Components(student), Mark(1.0)
        self.rollouts = Rollouts(student, components, self._run, Allowance(max_runs, None), Evaluations())
        self.blame = Blame(components, Evidence(components, student), self._ask, mark.reaches)
        self.blame.ranking = ["first"]
        self.pruner = Pruner(self.rollouts, {"first": SEED})
        proposer = Proposer(briefs(components, 1_000), self._ask, lambda dropped: None)
        self.search = Search(self.rollouts, proposer, self.pruner, self.blame, mark)

    def found(self, text: str = SEED, *, is_stuck: bool = False, has_solved: bool = True) -> str:
        """The text that is found from one; empty where there is none."""
        step = self.step(text, is_stuck=is_stuck, has_solved=has_solved)
        records = self.search.records(self.rollouts.run(step.texts, [*step.open, *step.solved]))
        self.runs.clear()
        return self.search.texts(step, records).get("first", "")

    def step(self, text: str, *, is_stuck: bool = False, has_solved: bool = True) -> Step:
        solved: tuple[Case, ...] = (SOLVED,) if has_solved else ()
        return Step(0, {"first": text}, (OPEN,), solved, is_stuck)

    def _run(self, program: Any, example: dspy.Example) -> Rollout:
        text = program.first.signature.instructions
        self.runs.append((text, example.q))
        score = float(text not in self.harm) if example.q == "solved" else self.scores.get(text, 0.0)
        return Rollout(score=score, steps={"first": f"The run of {text}"}, feedback=f"It scored {score:g}.")

    def _ask(self, request: str) -> str:
        self.requests.append(request)
        found = re.search(r"The current text:\n```\n(.*?)\n```", request, re.DOTALL)
        assert found is not None
        self.drawn.append(found[1])
        replies = self.replies.get(found[1], [])
        return f"```\n{replies.pop(0) if replies else found[1]}\n```"
