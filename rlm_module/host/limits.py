"""`budget()`: what of its limits a run has left, as generated code can read it and as its model is told."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from rlm_module.host.calls import Calls, OpenCall, done
from rlm_module.tree import Node, Tree

_LITTLE = 0.25


def _budget() -> dict[str, float | None]:  # pyright: ignore[reportReturnType] - a template
    """What is left: `turns`, `sub_calls`, `tokens`, `cost_usd` and `seconds`; None where there is no limit."""


def offer_budget(calls: Calls, turns_left: Callable[[], int]) -> None:
    """Offers `budget()` to generated code."""

    def answer(opened: OpenCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        if args or kwargs:
            raise TypeError("budget() takes no arguments; call it as it is")
        return done({"turns": turns_left(), **what_is_left(calls.tree, calls.node)})

    calls.add("budget", _budget, answer)


def what_is_left(tree: Tree, node: Node) -> dict[str, float | None]:
    """Of every limit but turns; None where there is none."""
    ledger = tree.ledger
    return {
        "sub_calls": node.allowance.left,
        "tokens": ledger.tokens_left,
        "cost_usd": ledger.cost_left,
        "seconds": tree.deadline.left(),
    }


def little_left(tree: Tree) -> str:
    """A notice for the model, where less than a quarter of its own money, tokens or time is left."""
    # What runs share may be little and still enough for this one, so that is no reason to tell it to hurry.
    budget, own = tree.ledger.limits, tree.ledger.own
    left = {"cost_usd": own.cost_left, "tokens": own.tokens_left, "seconds": tree.deadline.left()}
    notes = [
        form.format(left[name], whole)
        for name, whole, form in (
            ("cost_usd", budget.cost_usd, "${:.4f} of ${:.4f}"),
            ("tokens", budget.tokens, "{:,.0f} of {:,} tokens"),
            ("seconds", budget.seconds, "{:.0f} of {:.0f} s"),
        )
        if whole is not None and (found := left[name]) is not None and found < _LITTLE * whole
    ]
    return f" Little of the budget is left ({', '.join(notes)}): finish soon." if notes else ""
