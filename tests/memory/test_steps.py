"""What a memory wants called is called, and awaited where it can be."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from rlm_module.memory.steps import Ask


class _Both:
    """Says how it was called, and on which thread."""

    def __call__(self, **inputs: Any) -> Any:
        return "called", threading.get_ident(), inputs

    async def acall(self, **inputs: Any) -> Any:
        return "awaited", threading.get_ident(), inputs


def test_what_can_be_awaited_is_awaited_where_the_caller_awaits() -> None:
    here, ask = threading.get_ident(), Ask(_Both(), {"x": 1})
    assert ask.call() == ("called", here, {"x": 1})
    assert asyncio.run(ask.acall()) == ("awaited", here, {"x": 1})


def test_a_function_that_waits_does_so_off_the_event_loop() -> None:
    ask = Ask(lambda: threading.get_ident(), {})
    assert ask.call() == threading.get_ident()
    assert asyncio.run(ask.acall()) != threading.get_ident()
