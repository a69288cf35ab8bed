"""What a session knows of itself."""

from __future__ import annotations

import asyncio
from typing import Any

from rlm_module.sandbox.guest.clip import Stream

MAX_IN_FLIGHT = 512


class State:
    """What a session knows; one per sandbox."""

    def __init__(self) -> None:
        self.wire: Any = None
        self.ask: Any = None
        self.ffi: Any = None
        self.stdout, self.stderr = Stream(), Stream()
        self.in_flight = 0
        self.places = asyncio.Semaphore(MAX_IN_FLIGHT)
        self.namespace: dict[str, Any] = {}
        self.output_limit = 100_000
        self.outputs: list[str] | None = None
        self.optional: set[str] = set()
        self.final: dict[str, Any] | None = None
        self.cell = -1
        self.hidden: set[str] = set()
        self.interrupted = False


STATE = State()
