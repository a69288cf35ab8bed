"""What a program may want called on its way to its answer, which is a generator that says so."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """Wants something called.

    Args:
        module: A module, or a function that may wait for a disk.
        inputs: With what.
    """

    module: Any
    inputs: Mapping[str, Any]

    def call(self) -> Any:
        """Calls it."""
        return self.module(**self.inputs)

    async def acall(self) -> Any:
        """The same without blocking the event loop: what cannot be awaited is called on a thread."""
        call = getattr(self.module, "acall", None) or partial(asyncio.to_thread, self.module)
        return await call(**self.inputs)


Steps: TypeAlias = "Generator[Ask, Any, T]"
