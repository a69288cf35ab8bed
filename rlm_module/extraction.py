"""Draws up an answer from the record of a run that submitted none."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dspy

from rlm_module.errors import FatalError, InputError, Limit, LimitReached, met_shared_limit
from rlm_module.events import Extracted, TerminationReason
from rlm_module.lms.ledger import Need
from rlm_module.lms.prices import price_of, reply_cap, reply_limit
from rlm_module.plan import Plan
from rlm_module.prompting.outputs import Accepted, check_outputs
from rlm_module.prompting.shown import clip
from rlm_module.prompting.transcript import transcript
from rlm_module.signatures.extract import extract_inputs
from rlm_module.signatures.grounded import grounded
from rlm_module.steps import Ask, Steps
from rlm_module.tree import Node, Tree

logger = logging.getLogger(__name__)

_SMALL_CHARS = 8_000
_KEPT_PROMPT_TOKENS = 8_000
_BUDGET_REASONS: dict[Limit, TerminationReason] = {
    "cost": "budget:cost",
    "tokens": "budget:tokens",
    "seconds": "budget:seconds",
    "calls": "budget:calls",
}
_DRAWN_UP = "Nothing was submitted; the answer was drawn up from the record of the run."


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an RLM ended.

    Args:
        outputs: The answer.
        reason: Why it ended.
        reasoning: What the model said with it.
        met_shared_limit: Whether it ended for want of money or tokens that several runs share.
    """

    outputs: dict[str, Any]
    reason: TerminationReason
    reasoning: str = ""
    met_shared_limit: bool = False

    @classmethod
    def of_failure(cls, error: BaseException) -> Outcome:
        """That of a run without an answer, by what was raised: whatever is no `Exception` has stopped it."""
        reason: TerminationReason = "error" if isinstance(error, Exception) else "cancelled"
        return cls({}, reason, met_shared_limit=met_shared_limit(error))


@dataclass(frozen=True, slots=True)
class Extraction:
    """Asks for the outputs where none were submitted.

    Args:
        plan: What the RLM is made of.
        tree: Who pays, and what is on record.
        node: The RLM's place in the tree.
        introduction: The first request of the run.
    """

    plan: Plan
    tree: Tree
    node: Node
    introduction: str

    def keep_slice(self) -> None:
        """Keeps a part of the budget for it, so that whatever is spent, an answer can be had."""
        budget = self.tree.ledger.budget
        if self.node.depth or not budget.limits_spending:
            return
        lm = self.plan.lm_of(self.plan.predictors.extract)
        price = price_of(lm, budget) if lm is not None else None
        reply = reply_limit(lm, {}) or reply_cap(lm, "extract", budget)
        cost = 0.0 if price is None else _KEPT_PROMPT_TOKENS * price.prompt + reply * price.completion
        self.tree.ledger.keep(Need(_KEPT_PROMPT_TOKENS + reply, cost))

    def recorded(self) -> Outcome | None:
        """The answer that an earlier part of the run has drawn up."""
        known = self.tree.recording.extracted(self.node.number)
        return None if known is None else Outcome(dict(known.outputs), known.reason, _DRAWN_UP)

    def after_lm_error(self, error: dspy.LMError, trajectory: Sequence[Mapping[str, str]]) -> Steps[Outcome]:
        """Ends a run whose LM failed with what it has found, if anything."""
        if trajectory:
            logger.warning("The root LM failed (%s); the answer is drawn up from what was found.", error)
            return (yield from self.draw_up("error", trajectory))
        if isinstance(error, dspy.LMConfigurationError):
            raise error
        raise FatalError(
            f"The root LM failed on the first turn ({error}); try again, or name another model."
        ) from error

    def after_limit(self, limit: LimitReached, trajectory: Sequence[Mapping[str, str]]) -> Steps[Outcome]:
        """Ends a run that has used up what it was given."""
        if trajectory:
            logger.warning("The run ends here, since %s; the answer is drawn up from what was found.", limit)
            drawn = yield from self.draw_up(_BUDGET_REASONS[limit.limit], trajectory)
            return replace(drawn, met_shared_limit=limit.is_shared)
        if limit.limit in ("cost", "tokens") and not limit.is_shared:
            raise InputError(
                "The budget is too small for one turn of the root LM; raise it, or lower its root_tokens or the LM's "
                "max_tokens, since the longest reply has to fit."
            ) from limit
        raise FatalError(f"The run ended in its first turn, since {limit}; raise the limit.") from limit

    def draw_up(self, reason: TerminationReason, trajectory: Sequence[Mapping[str, str]]) -> Steps[Outcome]:
        """Asks for the outputs, at a second try with less to read.

        Raises:
            FatalError: If there are none.
        """
        told, record = extract_inputs(self.plan.task)
        fault: Exception | str = ""
        for limit in (None, _SMALL_CHARS):
            texts = {told: self.introduction, record: transcript(trajectory) or "(Nothing was done.)"}
            if limit is not None:
                texts = {name: clip(text, limit) for name, text in texts.items()}
            account = self.tree.account("extract", self.node, instead=self.plan.root_lm)
            try:
                answer = yield Ask(self.plan.predictors.extract, texts, account, is_final=True)
            except (dspy.AdapterParseError, dspy.LMError, LimitReached) as error:
                fault = error
                continue
            values = {name: getattr(answer, name) for name in self.plan.task.output_fields if hasattr(answer, name)}
            checked = check_outputs(self.plan.task, self.plan.inputs, self._grounded(values), drawn_up=True)
            if isinstance(checked, Accepted):
                journal = self.tree.journal
                journal.record(
                    Extracted(run_id=journal.run_id, node=self.node.number, reason=reason, outputs=checked.values)
                )
                return Outcome(checked.values, reason, _DRAWN_UP)
            fault = " ".join(checked.faults)
        cause = fault if isinstance(fault, Exception) else None
        message = " ".join(str(fault).split())
        raise FatalError(
            f"The run ended without an answer, and none could be drawn up from its record ({clip(message, 500)}); "
            "look at `.partial` for what was found, and raise max_iters or the budget, or name another model."
        ) from cause

    def _grounded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs without what the inputs don't bear out: a record rarely holds offsets, and nobody is left to
        find them.
        """
        found: dict[str, Any] = {}
        for name, value in values.items():
            try:
                found[name] = grounded(self.plan.inputs, value)
            except Exception:  # told by the check of the outputs
                found[name] = value
        return found
