"""Gets better texts out of a reflection model, and has it mend those that cannot be tried."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from rlm_module.optimizers.evolution.briefs import Brief
from rlm_module.optimizers.evolution.replies import fault_of, read_text
from rlm_module.optimizers.evolution.rollouts import Rollout
from rlm_module.optimizers.lineage import Dropped
from rlm_module.optimizers.shortening import ends

logger = logging.getLogger(__name__)

_DROPPED_CHARS = 4_000


class Proposer:
    """Gets a better text out of a reflection model.

    Args:
        briefs: What each text is for.
        ask: Sends the model a request and returns its reply; empty where there is none.
        drop: Told of each text that is not tried.
    """

    def __init__(self, briefs: Mapping[str, Brief], ask: Callable[[str], str], drop: Callable[[Dropped], None]) -> None:
        self._briefs = briefs
        self._ask = ask
        self._drop = drop

    def record(self, name: str, rollout: Rollout) -> str:
        """What the model is to be shown of a run, to better that text."""
        return self._briefs[name].record(rollout)

    def propose(self, name: str, text: str, records: Sequence[str], *, most: int) -> str:
        """A better text, or the one given where the records call for no change or no reply can be tried.

        As a program run costs far more than a reply, the model is asked again over the same records, with its own new
        text, until that no longer changes.

        Args:
            name: The component.
            text: Its current text.
            records: Of runs with it.
            most: Replies to ask for, without repairs.
        """
        brief, current = self._briefs[name], text
        for number in range(most):
            revised = self._revise(brief, current, brief.request(current, records, is_revised=number > 0))
            if revised is None or same(revised, current):
                break
            current = revised
        return current

    def _revise(self, brief: Brief, text: str, request: str) -> str | None:
        """One revision; None where the reply holds none that can be tried."""
        reply = self._ask(request)
        proposed = read_text(reply, text)
        found = brief.faults(proposed) if proposed else [fault_of(reply)]
        if not found:
            return proposed
        if proposed:
            mended = read_text(self._ask(brief.repair(proposed, found)), proposed)
            left = brief.faults(mended) if mended else ["The repaired text is empty."]
            if not left:
                return mended
            found = left
        dropped = Dropped(brief.component.name, ends(proposed or reply, _DROPPED_CHARS), tuple(found))
        logger.info("A text for %s was dropped: %s", brief.component.name, " ".join(found))
        self._drop(dropped)
        return None


def same(one: str, other: str) -> bool:
    """Whether two texts differ in space at most."""
    return one.split() == other.split()
