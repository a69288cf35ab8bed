"""Pairs of records that belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import dspy
import pydantic

from rlm_module.signatures.grounded import Ungrounded
from rlm_module.signatures.table import Table


class Pair(pydantic.BaseModel):
    """A row of `left` and a row of `right` that belong together, by their numbers, counted from 0."""

    model_config = pydantic.ConfigDict(frozen=True)

    left: int
    right: int

    def check_against(self, inputs: Mapping[str, Any]) -> None:
        """Refuses numbers of rows that there are not.

        Raises:
            Ungrounded: Saying which.
        """
        for name, number in (("left", self.left), ("right", self.right)):
            rows = inputs.get(name)
            count = len(rows.sandbox_value()) if isinstance(rows, Table) else None
            if count is not None and not 0 <= number < count:
                raise Ungrounded(f"`{name}` has no row {number}, only 0 to {count - 1}; give the number of a row.")


class JoinRecords(dspy.Signature):
    """Find every pair of a row of `left` and a row of `right` that meets the condition.

    Comparing all rows with all is too much for sub-LMs: find out first, for each row by itself, what the condition
    depends on (in code, or by sub-LMs with many rows to a prompt), form the candidates in code, by key or by block,
    and let sub-LMs judge only those that code cannot. A row may belong to several pairs or to none.
    """

    left: Table = dspy.InputField()
    right: Table = dspy.InputField()
    condition: str = dspy.InputField(desc="When two rows belong together")
    pairs: list[Pair] = dspy.OutputField(desc="Each pair once")

    @pydantic.model_validator(mode="after")
    def _each_pair_once(self) -> Self:
        counts = Counter(self.pairs)
        if twice := next((pair for pair, count in counts.items() if count > 1), None):
            raise ValueError(f"the pair {twice.left}, {twice.right} is there twice; give each once")
        return self
