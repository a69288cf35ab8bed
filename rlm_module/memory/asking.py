"""How a memory asks models: what it shows them was said by somebody, and may be written to mislead a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy

from rlm_module import harmless


class MemoryPredict(dspy.Predict):
    """A `dspy.Predict` whose inputs stay text: none becomes an image that a provider fetches, or ends its field."""

    def forward(self, **kwargs: Any) -> dspy.Prediction:
        """Asks the LM, once."""
        return super().forward(**_as_text(kwargs))

    async def aforward(self, **kwargs: Any) -> dspy.Prediction:
        """Asks the LM, once, and awaits it."""
        return await super().aforward(**_as_text(kwargs))


def _as_text(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: harmless(value) if isinstance(value, str) else value for name, value in kwargs.items()}
