"""Shortens a conversation that outgrows the LM's window: older turns become one that sums them up.

The variables of the REPL stay, and the journal holds the turns as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rlm_module.prompting.shown import clip
from rlm_module.prompting.summaries import summary_by_rule

_KEPT_TURNS = 2
_REQUEST_CHARS = 2_000
_WORTH_IT = 0.9
"""A step that leaves more than this share of the conversation is none: each has to get somewhere, so that they end."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A way to shorten a conversation.

    Args:
        summed: How many turns from the first on are summed up.
        summary: What stands for them.
        longest: Characters that a request of the others may have; None for any number.
    """

    summed: int
    summary: str
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A run's turns as its LM is shown them.

    Args:
        turns: Those that are shown as they were, each with `request`, `reasoning` and `code`.
        task: The first request of all.
        summed: How many turns before them are shown as their summary.
        summary: That.
    """

    turns: tuple[Mapping[str, str], ...] = ()
    task: str = ""
    summed: int = 0
    summary: str = ""

    @property
    def messages(self) -> list[dict[str, str]]:
        """As a history for the predictor; what is summed up is one turn."""
        shown = [dict(turn) for turn in self.turns]
        if not self.summed:
            return shown
        summary = f"Turns 1 to {self.summed}, shortened. The variables they bound are still there.\n{self.summary}"
        return [{"request": self.task, "reasoning": summary, "code": ""}, *shown]

    @property
    def chars(self) -> int:
        """How long it is."""
        return sum(len(text) for turn in self.messages for text in turn.values())

    def followed_by(self, turn: Mapping[str, str]) -> Conversation:
        """It with one more turn."""
        return replace(self, turns=(*self.turns, turn), task=self.task or turn["request"])

    def shortened(self, cut: Cut) -> Conversation:
        """It with more turns summed up. The first request of all, which holds the task, stays whole."""
        turns, longest = self.turns[cut.summed - self.summed :], cut.longest
        if longest is not None:
            first = 0 if cut.summed else 1
            turns = tuple(
                {**turn, "request": clip(turn["request"], longest)} if number >= first else turn
                for number, turn in enumerate(turns)
            )
        return replace(self, turns=turns, summed=cut.summed, summary=cut.summary)

    def is_worth(self, shorter: Conversation) -> bool:
        """Whether that is enough shorter."""
        return shorter.chars < _WORTH_IT * self.chars


def next_cut(shown: Conversation, trajectory: Sequence[Mapping[str, str]]) -> Cut | None:
    """The first step that gets somewhere: older turns are summed up first, then the last two, too.

    Args:
        shown: The conversation.
        trajectory: All turns of the run, each with `reasoning`, `code` and `output`.

    Returns:
        None where there is nothing left to shorten.
    """
    return next((cut for cut in _cuts(shown, trajectory) if shown.is_worth(shown.shortened(cut))), None)


def _cuts(shown: Conversation, trajectory: Sequence[Mapping[str, str]]) -> Iterator[Cut]:
    for kept, longest in ((_KEPT_TURNS, None), (_KEPT_TURNS, _REQUEST_CHARS), (0, _REQUEST_CHARS)):
        summed = max(shown.summed, len(trajectory) - kept)
        is_new = summed > shown.summed
        yield Cut(summed, summary_by_rule(trajectory[:summed]) if is_new else shown.summary, longest)
    yield Cut(len(trajectory), summary_by_rule(trajectory), _REQUEST_CHARS)  # where the LM was told to be brief in vain


def shortened_request(request: str) -> str | None:
    """A request cut down to its beginning and its end; None where that is no shorter."""
    shorter = clip(request, _REQUEST_CHARS)
    return shorter if len(shorter) < _WORTH_IT * len(request) else None
