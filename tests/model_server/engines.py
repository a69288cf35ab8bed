"""dspy's LMs, pointed at a local server."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

import dspy

Engine: TypeAlias = Literal["lm15", "litellm"]
ENGINES: tuple[Engine, ...] = ("lm15", "litellm")


class HasUrl(Protocol):
    url: str


def lm(server: HasUrl, engine: Engine = "lm15", *, model: str = "openai/test-model", **options: Any) -> dspy.LM:
    """An LM whose requests go to `server` through one of dspy's two engines, uncached unless told otherwise.

    dspy by itself ("auto") takes its native engine, lm15, for every request that it can express. Named explicitly,
    lm15 refuses what it cannot express, where "auto" would go over to litellm.
    """
    options = {"api_base": server.url, "api_key": "not-a-key", "cache": False, **options}
    return dspy.LM(model, engine=engine, **options)
