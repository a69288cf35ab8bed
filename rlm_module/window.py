"""What the LM of a run is shown of its turns: all of them, until they outgrow its context window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rlm_module.events import Compacted, Usage
from rlm_module.lms.prices import window_of
from rlm_module.plan import Plan
from rlm_module.prompting.compaction import Conversation, Cut, next_cut
from rlm_module.prompting.summaries import room_for_turns, summary_by_lm
from rlm_module.steps import Steps
from rlm_module.tree import Node, Tree

_SMALLEST_WINDOW = 6_000


class ContextWindow:
    """The conversation of one RLM with its LM, which is shortened where it has to be.

    Args:
        plan: What the RLM is made of.
        tree: Its journal, and what is on record of an earlier part of the run.
        node: Its place in the tree.
        introduction: Its first request.
        trajectory: Its turns as they were, which its loop adds to.
    """

    def __init__(
        self, plan: Plan, tree: Tree, node: Node, introduction: str, trajectory: Sequence[Mapping[str, str]]
    ) -> None:
        self._plan = plan
        self._tree = tree
        self._node = node
        self._introduction = introduction
        self._trajectory = trajectory
        self._shown = Conversation()
        self._asked_tokens = 0

    @property
    def messages(self) -> list[dict[str, str]]:
        """As a history for the predictor."""
        return self._shown.messages

    def add(self, request: str, reasoning: str, code: str) -> None:
        """Shows one more turn."""
        self._shown = self._shown.followed_by({"request": request, "reasoning": reasoning, "code": code})

    def take_usage(self, usage: Usage) -> None:
        """Takes in what the last turn used, which tells how long the conversation is."""
        self._asked_tokens = usage.tokens if usage.calls == 1 else 0

    def restore(self, turn: int) -> None:
        """Shortens it as an earlier part of the run did before this turn."""
        for event in self._tree.recording.compacted(self._node.number, turn):
            self._shorten(Cut(event.turn, event.summary, event.longest))

    def shorten_if_large(self, turn: int, lm: Any) -> Steps[None]:
        """Shortens it where the last request took a set share of the window.

        Args:
            turn: The one that comes next.
            lm: Who is asked for it; None for the predictor's own LM.
        """
        asked = self._asked(lm)
        window = window_of(asked) if self._asked_tokens > _SMALLEST_WINDOW and asked is not None else None
        if window is not None and self._asked_tokens > self._plan.compact_at * window:
            yield from self.shorten(turn, lm)

    def shorten(self, turn: int, lm: Any) -> Steps[bool]:
        """Shortens it, if that can be; what is new in the summary is drawn up by the LM where it can.

        Args:
            turn: The one that comes next.
            lm: Who is asked for it; None for the predictor's own LM.
        """
        shown, cut = self._shown, next_cut(self._shown, self._trajectory)
        if cut is None:
            return False
        asked = self._asked(lm)
        if cut.summed > shown.summed and asked is not None:
            summary = yield from summary_by_lm(
                self._introduction,
                self._trajectory[shown.summed : cut.summed],
                shown.summary,
                shown.summed,
                room_for_turns(shown.chars, window_of(asked)),
                self._tree.turn_account(self._node, asked),
            )
            better = replace(cut, summary=summary or "")
            cut = better if summary and shown.is_worth(shown.shortened(better)) else cut
        self._shorten(cut)
        journal = self._tree.journal
        journal.record(
            Compacted(
                run_id=journal.run_id,
                node=self._node.number,
                turn=cut.summed,
                summary=cut.summary,
                asked=turn,
                longest=cut.longest,
            )
        )
        return True

    def _shorten(self, cut: Cut) -> None:
        self._shown = self._shown.shortened(cut)
        self._asked_tokens = 0  # nothing is known of the next request

    def _asked(self, lm: Any) -> Any:
        return lm if lm is not None else self._plan.lm_of(self._plan.predictors.act)
